// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"fmt"
	"slices"
	"time"
)

// This file holds the transitions. Each returns the ledger that follows from the
// one it is called on, or an error if it is not allowed from there. None looks at
// a clock or at a platform.

// stamp says when a transition is made, by whom, and what asked for it.
type stamp struct {
	at     time.Time
	actor  string
	origin Origin
}

// NewLedger returns the ledger of a deployment that has nothing yet. Both
// environments are empty, and the first release goes to green.
func NewLedger(name string) Ledger {
	return Ledger{
		Schema: SchemaVersion,
		Name:   name,
		Live:   Blue,
		Blue:   Slot{State: Idle},
		Green:  Slot{State: Idle},
	}
}

// NewAdoptedLedger returns the ledger of a deployment that takes over a workload
// which serves already. The workload is live in blue, and once a release has
// replaced it, a rollback to it works. The baseline has no environment variables, so that its
// fingerprint needs no key.
func NewAdoptedLedger(name string, baseline Release, instances []InstanceRef, at time.Time, actor string) Ledger {
	l := NewLedger(name)
	baseline = baseline.Seal("")
	l, record := l.withNextNumber(OpAdopt, Blue, baseline, stamp{at, actor, FromConfiguration})
	record.Status, record.SwitchedAt = StatusLive, &at
	l.Created = true
	return l.withRecord(record).withSlot(Blue, Slot{
		State: Live, Release: &baseline, Record: record.ID, Passed: instances, DeployedAt: &at,
	})
}

// sizeForDeploy returns release with the number of replicas that it is deployed
// with. An autoscaled release begins with as many as live has.
func (l Ledger) sizeForDeploy(release Release) Release {
	if release.Autoscaled && l.IsServing() {
		release.Replicas = l.Slot(l.Live).Release.Replicas
	}
	return release
}

// beginDeploy puts release into staging. What staging held is given up.
func (l Ledger) beginDeploy(release Release, by stamp) (Ledger, error) {
	env := l.Staging()
	slot := l.Slot(env)
	switch {
	case l.Destroying:
		return l, invalidState("deploy", env, "the deployment is being destroyed")
	case slot.State == Deploying:
		return l, &Error{EnvironmentBusy, "deploy", env, fmt.Errorf("%s is being deployed there", slot.Release.Version)}
	}
	release = release.Seal(l.Key)
	release.ImageDigest = ""
	l, record := l.withNextNumber(OpDeploy, env, release, by)
	l = l.closeUnfinished(slot.Record, "replaced by "+record.ID+" before it went live")
	return l.withRecord(record).withSlot(env, Slot{
		State: Deploying, Release: &release, Record: record.ID, DeployedAt: &record.DeployedAt,
	}), nil
}

// finishDeploy records that staging runs its release, whose image is pinned to digest.
func (l Ledger) finishDeploy(digest string) (Ledger, error) {
	env := l.Staging()
	slot := l.Slot(env)
	if slot.State != Deploying {
		return l, invalidState("deploy", env, "it is %s, not deploying", slot.State)
	}
	release := *slot.Release
	release.ImageDigest = digest
	slot.State, slot.Release = Ready, &release
	record, _ := l.Record(slot.Record)
	record.Status, record.ImageDigest = StatusReady, digest
	return l.withRecord(record).withSlot(env, slot), nil
}

// recordCheck records the result of the health check of staging.
func (l Ledger) recordCheck(result HealthResult) (Ledger, error) {
	env := l.Staging()
	slot := l.Slot(env)
	if slot.State != Ready {
		return l, invalidState("health check", env, "it is %s, not ready", slot.State)
	}
	slot.Checked, slot.Passed = result.Healthy, result.Instances
	record, _ := l.Record(slot.Record)
	record.Health = &result
	return l.withRecord(record).withSlot(env, slot), nil
}

// failRelease records that the release in staging does not go live.
func (l Ledger) failRelease(reason string) (Ledger, error) {
	env := l.Staging()
	slot := l.Slot(env)
	if slot.State != Deploying && slot.State != Ready {
		return l, invalidState("deploy", env, "it is %s, neither deploying nor ready", slot.State)
	}
	slot.State, slot.Checked, slot.Passed = Failed, false, nil
	record, _ := l.Record(slot.Record)
	record.Status, record.Reason = StatusFailed, reason
	return l.withRecord(record).withSlot(env, slot), nil
}

// switchTo makes env live. It is the only transition that moves traffic to a release
// that has not been live in its environment before.
func (l Ledger) switchTo(env Environment, at time.Time) (Ledger, error) {
	slot := l.Slot(env)
	switch {
	case l.IsServing() && env == l.Live:
		return l, invalidState("switch", env, "it is already live")
	case slot.State != Ready:
		return l, invalidState("switch", env, "it is %s, not ready", slot.State)
	case !slot.Checked:
		return l, invalidState("switch", env, "its release has not passed the health check")
	}
	record, _ := l.Record(slot.Record)
	record.Status, record.SwitchedAt = StatusLive, &at
	if old, serving := l.LiveRecord(); serving {
		record.Replaced = old.ID
		l = l.makeStandby(StatusSuperseded)
	}
	slot.State, slot.WatchDue = Live, false
	l.Live, l.WatchDue = env, record.ID
	return l.withRecord(record).withSlot(env, slot), nil
}

// revertSwitch takes back a switch whose traffic did not arrive. The release has failed.
func (l Ledger) revertSwitch(reason string) (Ledger, error) {
	record, serving := l.LiveRecord()
	if !serving {
		return l, invalidState("switch", l.Live, "nothing is live")
	}
	env := l.Live
	former, existed := l.Record(record.Replaced)
	if record.Replaced != "" && l.Slot(env.Other()).Record != record.Replaced {
		return l, invalidState("switch", env, "%s, which it replaced, is not the standby any more", record.Replaced)
	}
	l.WatchDue = ""
	slot := l.Slot(env)
	slot.State, slot.Checked, slot.Passed = Failed, false, nil
	record.Status, record.Reason = StatusFailed, reason
	l = l.withRecord(record).withSlot(env, slot)
	l.Live = env.Other()
	if existed {
		former.Status = StatusLive
		back := l.Slot(l.Live)
		if back.WatchDue {
			l.WatchDue = former.ID
		}
		back.State, back.WatchDue = Live, false
		l = l.withRecord(former).withSlot(l.Live, back)
	}
	return l, nil
}

// rollBack makes the standby live again. It needs no health check, because the
// standby has served before.
func (l Ledger) rollBack(reason string, by stamp) (Ledger, error) {
	target, err := l.rollbackTarget()
	if err != nil {
		return l, &Error{RollbackFailed, "rollback", l.Live, fmt.Errorf("%w: %w", ErrNothingToRollBackTo, err)}
	}
	env := target.Environment
	slot := l.Slot(env)
	former, _ := l.LiveRecord()
	l = l.makeStandby(StatusRolledBack)
	l, record := l.withNextNumber(OpRollback, env, *slot.Release, by)
	record.Status, record.SwitchedAt, record.Reason = StatusLive, &by.at, reason
	record.Replaced, record.RolledBackFingerprint = former.ID, former.Fingerprint
	former.Status, former.RolledBackAt, former.Reason = StatusRolledBack, &by.at, reason
	slot.State, slot.Record, slot.WatchDue = Live, record.ID, false
	l.Live, l.WatchDue = env, ""
	return l.withRecord(former).withRecord(record).withSlot(env, slot), nil
}

// revertRollback takes back a rollback whose traffic did not arrive. The standby
// stays a rollback target.
func (l Ledger) revertRollback(reason string) (Ledger, error) {
	record, serving := l.LiveRecord()
	former, known := l.Record(record.Replaced)
	if !serving || !known || record.Operation != OpRollback {
		return l, invalidState("rollback", l.Live, "the live release did not come from a rollback")
	}
	l = l.makeStandby(StatusSuperseded)
	record.Status, record.Reason = StatusSuperseded, reason
	former.Status, former.RolledBackAt, former.Reason, former.Replaced = StatusLive, nil, "", record.ID
	slot := l.Slot(former.Environment)
	if slot.WatchDue {
		l.WatchDue = former.ID
	}
	slot.State, slot.WatchDue = Live, false
	l.Live = former.Environment
	return l.withRecord(record).withRecord(former).withSlot(l.Live, slot), nil
}

// clearStaging empties staging.
func (l Ledger) clearStaging() (Ledger, error) {
	env := l.Staging()
	slot := l.Slot(env)
	if slot.State == Deploying {
		return l, invalidState("cleanup", env, "a release is being deployed there")
	}
	if slot.State == Live {
		return l, invalidState("cleanup", env, "it is live")
	}
	return l.closeUnfinished(slot.Record, "removed before it went live").withSlot(env, Slot{State: Idle}), nil
}

// scale sets the size of the live environment and of its standby. If autoscaled
// is set, an autoscaler decides from now on: replicas is not used, and both keep
// the size that they have.
func (l Ledger) scale(replicas int, autoscaled bool) (Ledger, error) {
	if !l.IsServing() {
		return l, invalidState("scale", l.Live, "nothing is live")
	}
	for _, env := range l.scaledEnvironments() {
		slot := l.Slot(env)
		size := replicas
		if autoscaled {
			size = slot.Release.Replicas
		}
		l = l.resize(env, size, autoscaled)
	}
	return l, nil
}

// scaledEnvironments returns the environments that are scaledEnvironments together: live and its standby.
func (l Ledger) scaledEnvironments() []Environment {
	return slices.DeleteFunc(Environments(), func(env Environment) bool {
		slot := l.Slot(env)
		return slot.Release == nil || (slot.State != Live && slot.State != Idle)
	})
}

// resize records the size of env, which holds a release, and whether an autoscaler
// decides on it.
func (l Ledger) resize(env Environment, replicas int, autoscaled bool) Ledger {
	slot := l.Slot(env)
	release := *slot.Release
	release.Replicas, release.Autoscaled = replicas, autoscaled
	slot.Release = &release
	l = l.withSlot(env, slot)
	if record, _ := l.Record(slot.Record); record.Status == StatusLive {
		record.Replicas = replicas
		l = l.withRecord(record)
	}
	return l
}

// withPassed records which instances of env may receive its traffic.
func (l Ledger) withPassed(env Environment, instances []InstanceRef) Ledger {
	slot := l.Slot(env)
	slot.Passed = instances
	return l.withSlot(env, slot)
}

// endWatch records that the watch over the live release is over.
func (l Ledger) endWatch() Ledger {
	l.WatchDue = ""
	return l
}

// markCreated records that an operation that deploys ran to its end. From then on
// the deployment can belong to a Terraform state.
func (l Ledger) markCreated() Ledger {
	l.Created = true
	return l
}

// beginDestroy takes the traffic away for good. Nothing but the rest of the
// destruction may follow.
func (l Ledger) beginDestroy() Ledger {
	if record, serving := l.LiveRecord(); serving {
		l = l.makeStandby(StatusSuperseded)
		record.Status, record.Reason = StatusSuperseded, "destroyed"
		l = l.withRecord(record)
	}
	l.Destroying, l.WatchDue = true, ""
	return l
}

// makeStandby makes the live environment the standby and gives its record this status.
func (l Ledger) makeStandby(status RecordStatus) Ledger {
	slot := l.Slot(l.Live)
	record, _ := l.Record(slot.Record)
	record.Status = status
	slot.State, slot.WatchDue = Idle, l.WatchDue == record.ID
	return l.withRecord(record).withSlot(l.Live, slot)
}
