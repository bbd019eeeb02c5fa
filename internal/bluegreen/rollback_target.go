// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"strings"
)

// RollbackTarget returns the record of the standby that a rollback would make live:
// the release that the live one replaced and that was not itself rolled back. Without
// such a standby it returns false.
func (l Ledger) RollbackTarget() (Record, bool) {
	target, err := l.rollbackTarget()
	return target, err == nil
}

// rollbackTarget returns the target of a rollback, or why there is none.
func (l Ledger) rollbackTarget() (Record, error) {
	live, serving := l.LiveRecord()
	standby := l.Slot(l.Staging())
	switch {
	case !serving:
		return Record{}, errors.New("no release serves")
	case live.Replaced == "":
		return Record{}, errors.New("there is no release before this one")
	case standby.Release == nil || standby.Record != live.Replaced || standby.State != Idle:
		return Record{}, fmt.Errorf("the release before this one (%s) is no longer in %s%s",
			live.Replaced, l.Staging(), standby.describeUse())
	}
	target, isKnown := l.Record(standby.Record)
	if !isKnown || target.Status != StatusSuperseded {
		return Record{}, fmt.Errorf("%s was itself rolled back (%s)", standby.Release.Version, standby.Record)
	}
	return target, nil
}

// describeUse says what is in a slot that a standby was in before, as the end of a
// sentence.
func (s Slot) describeUse() string {
	switch {
	case s.Release == nil:
		return ": it is empty"
	case s.State == Ready:
		return fmt.Sprintf(": the preview of %s took its place", s.Release.Version)
	default:
		return fmt.Sprintf(": %s took its place", s.Release.Version)
	}
}

// CanRollBack reports whether a rollback would work now: the release before the
// live one is standing by, and at least minHealthyPercent (1..100) of its instances
// run and are ready.
func (s Status) CanRollBack(minHealthyPercent int) bool {
	return s.RollbackBlocked(minHealthyPercent) == nil
}

// RollbackBlocked returns why a rollback would not work now, nil if it would; see
// CanRollBack.
func (s Status) RollbackBlocked(minHealthyPercent int) error {
	target, err := s.Ledger.rollbackTarget()
	if err != nil {
		return err
	}
	env := target.Environment
	size, able := s.Ledger.Slot(env).Release.Replicas, s.Running[env]-s.Unready[env]
	if able < requiredReplicas(size, minHealthyPercent) {
		return tooFewError(able, size, s.StandbyCauses)
	}
	return nil
}

// standbyCauses returns why instances of the standby cannot take the traffic, if some
// cannot.
func (d *Deployer) standbyCauses(ctx context.Context, s Status) []string {
	target, ok := s.Ledger.RollbackTarget()
	if !ok || s.CanRollBack(100) {
		return nil
	}
	instances, err := d.Platform.Instances(ctx, target.Environment)
	if err != nil {
		return []string{fmt.Sprintf("the replicas in %s could not be listed: %v", target.Environment, err)}
	}
	_, causes := s.Ledger.Slot(target.Environment).judgeStandby(instances, d.Platform.CanReceiveTraffic, true)
	if d.Mask != nil {
		for i := range causes {
			causes[i] = d.Mask(causes[i])
		}
	}
	return causes
}

// judgeStandby returns those of a standby's instances that can take the traffic, and why
// the others cannot. Without needsReady one that is not ready can.
func (s Slot) judgeStandby(
	instances []Instance, canReceive func([]InstanceRef, InstanceRef) bool, needsReady bool,
) (able []Instance, causes []string) {
	for _, instance := range instances {
		switch {
		case instance.Pending:
			causes = append(causes, fmt.Sprintf("replica %s has not been started yet", instance.ID))
		case !instance.Running:
			causes = append(causes, fmt.Sprintf("replica %s exited: %s", instance.ID, instance.Exit))
		case instance.Unready != "" && needsReady:
			causes = append(causes, fmt.Sprintf("replica %s is not ready: %s", instance.ID, instance.Unready))
		case !s.IsCounted(instance.Ref(), canReceive):
			causes = append(causes, fmt.Sprintf("replica %s was replaced and does not receive traffic yet; "+
				"an apply without the rollback changes that", instance.ID))
		default:
			able = append(able, instance)
		}
	}
	return able, causes
}

// tooFewError says that only able of size instances of the standby can take the traffic.
func tooFewError(able, size int, causes []string) error {
	end := ""
	if len(causes) > 0 {
		end = ": " + strings.Join(causes, "; ")
	}
	return fmt.Errorf("%d of %d replicas of the standby can take the traffic%s", able, size, end)
}
