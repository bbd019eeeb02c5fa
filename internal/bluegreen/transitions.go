// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// The transitions of the ledger. Each takes the ledger as it is and returns it
// as it should be, or says why that makes no sense. None looks at a clock or at
// a platform.

// stamp is when and by whom a transition is made.
type stamp struct {
	at    time.Time
	actor string
}

// NewLedger is the ledger of a deployment that has nothing yet: both
// environments empty, so that the first release goes to green.
func NewLedger(name string) Ledger {
	return Ledger{
		Schema: SchemaVersion,
		Name:   name,
		Live:   Blue,
		Blue:   Slot{State: Idle},
		Green:  Slot{State: Idle},
	}
}

// NewAdoptedLedger is the ledger of a deployment that takes over a workload which
// serves already: it is live in blue, and a rollback to it will work.
func NewAdoptedLedger(name string, baseline Release, instances []InstanceRef, at time.Time, actor string) Ledger {
	l := NewLedger(name)
	baseline = baseline.Seal()
	l, record := l.newRecord(OpAdopt, Blue, baseline, stamp{at, actor})
	record.Status, record.SwitchedAt = StatusLive, &at
	l.Created = true
	return l.withRecord(record).with(Blue, Slot{
		State: Live, Release: &baseline, Record: record.ID, Passed: instances, DeployedAt: &at,
	})
}

// sizeForDeploy returns the release with the size that it is deployed at: an
// autoscaled one begins with as many replicas as live has.
func (l Ledger) sizeForDeploy(release Release) Release {
	if release.Autoscaled && l.IsServing() {
		release.Replicas = l.Slot(l.Live).Release.Replicas
	}
	return release
}

// beginDeploy gives staging to release. What staging held is given up.
func (l Ledger) beginDeploy(release Release, by stamp) (Ledger, error) {
	env := l.Staging()
	slot := l.Slot(env)
	switch {
	case l.Destroying:
		return l, invalid("deploy", env, "the deployment is being destroyed")
	case slot.State == Deploying:
		return l, &Error{EnvironmentBusy, "deploy", env, fmt.Errorf("%s is being deployed there", slot.Release.Version)}
	}
	release = release.Seal()
	release.ImageDigest = ""
	l, record := l.newRecord(OpDeploy, env, release, by)
	l = l.giveUp(slot.Record, "given up for "+record.ID+" before it went live")
	return l.withRecord(record).with(env, Slot{
		State: Deploying, Release: &release, Record: record.ID, DeployedAt: &record.DeployedAt,
	}), nil
}

// deployed says that staging runs its release, whose image is pinned to digest.
func (l Ledger) deployed(digest string) (Ledger, error) {
	env := l.Staging()
	slot := l.Slot(env)
	if slot.State != Deploying {
		return l, invalid("deploy", env, "it is %s, not deploying", slot.State)
	}
	release := *slot.Release
	release.ImageDigest = digest
	slot.State, slot.Release = Ready, &release
	record, _ := l.Record(slot.Record)
	record.Status, record.ImageDigest = StatusReady, digest
	return l.withRecord(record).with(env, slot), nil
}

// checked notes the outcome of the health check of staging.
func (l Ledger) checked(result HealthResult) (Ledger, error) {
	env := l.Staging()
	slot := l.Slot(env)
	if slot.State != Ready {
		return l, invalid("health check", env, "it is %s, not ready", slot.State)
	}
	slot.Checked, slot.Passed = result.Healthy, result.Instances
	record, _ := l.Record(slot.Record)
	record.Health = &result
	return l.withRecord(record).with(env, slot), nil
}

// failed says that the release in staging will not go live.
func (l Ledger) failed(reason string) (Ledger, error) {
	env := l.Staging()
	slot := l.Slot(env)
	if slot.State != Deploying && slot.State != Ready {
		return l, invalid("deploy", env, "it is %s", slot.State)
	}
	slot.State, slot.Checked, slot.Passed = Failed, false, nil
	record, _ := l.Record(slot.Record)
	record.Status, record.Reason = StatusFailed, reason
	return l.withRecord(record).with(env, slot), nil
}

// switchTo makes env live. It is the one step that moves traffic forward.
func (l Ledger) switchTo(env Environment, at time.Time) (Ledger, error) {
	slot := l.Slot(env)
	switch {
	case l.IsServing() && env == l.Live:
		return l, invalid("switch", env, "it is live already")
	case slot.State != Ready:
		return l, invalid("switch", env, "it is %s, not ready", slot.State)
	case !slot.Checked:
		return l, invalid("switch", env, "its release has not passed the health check")
	}
	record, _ := l.Record(slot.Record)
	record.Status, record.SwitchedAt = StatusLive, &at
	if old, serving := l.LiveRecord(); serving {
		record.Replaced = old.ID
		l = l.standDown(StatusSuperseded)
	}
	slot.State = Live
	l.Live, l.WatchDue = env, record.ID
	return l.withRecord(record).with(env, slot), nil
}

// revertSwitch undoes a switch that the data plane did not follow.
func (l Ledger) revertSwitch(reason string) (Ledger, error) {
	record, serving := l.LiveRecord()
	if !serving {
		return l, invalid("switch", l.Live, "nothing is live")
	}
	env := l.Live
	former, existed := l.Record(record.Replaced)
	l.WatchDue = ""
	slot := l.Slot(env)
	slot.State, slot.Checked, slot.Passed = Failed, false, nil
	record.Status, record.Reason = StatusFailed, reason
	l = l.withRecord(record).with(env, slot)
	l.Live = env.Other()
	if existed {
		former.Status = StatusLive
		back := l.Slot(l.Live)
		back.State = Live
		l = l.withRecord(former).with(l.Live, back)
	}
	return l, nil
}

// rollback makes the standby live again, without a health gate: it has served before.
func (l Ledger) rollback(reason string, by stamp) (Ledger, error) {
	target, available := l.RollbackTarget()
	if !available {
		return l, &Error{RollbackFailed, "rollback", l.Live, ErrNothingToRollBackTo}
	}
	env := target.Environment
	slot := l.Slot(env)
	undone, _ := l.LiveRecord()
	l = l.standDown(StatusRolledBack)
	l, record := l.newRecord(OpRollback, env, *slot.Release, by)
	record.Status, record.SwitchedAt, record.Reason = StatusLive, &by.at, reason
	record.Replaced, record.RolledBackFingerprint = undone.ID, undone.Fingerprint
	undone.Status, undone.RolledBackAt, undone.Reason = StatusRolledBack, &by.at, reason
	slot.State, slot.Record = Live, record.ID
	l.Live, l.WatchDue = env, ""
	return l.withRecord(undone).withRecord(record).with(env, slot), nil
}

// revertRollback undoes a rollback that the data plane did not follow. What was
// brought back stays a rollback target.
func (l Ledger) revertRollback(reason string) (Ledger, error) {
	record, serving := l.LiveRecord()
	former, known := l.Record(record.Replaced)
	if !serving || !known || record.Operation != OpRollback {
		return l, invalid("rollback", l.Live, "no rollback is in force")
	}
	l = l.standDown(StatusSuperseded)
	record.Status, record.Reason = StatusSuperseded, reason
	former.Status, former.RolledBackAt, former.Reason, former.Replaced = StatusLive, nil, "", record.ID
	slot := l.Slot(former.Environment)
	slot.State = Live
	l.Live = former.Environment
	return l.withRecord(record).withRecord(former).with(l.Live, slot), nil
}

// cleaned empties staging.
func (l Ledger) cleaned() (Ledger, error) {
	env := l.Staging()
	slot := l.Slot(env)
	if slot.State == Deploying {
		return l, invalid("cleanup", env, "a release is being deployed there")
	}
	if slot.State == Live {
		return l, invalid("cleanup", env, "it is live")
	}
	return l.giveUp(slot.Record, "removed before it went live").with(env, Slot{State: Idle}), nil
}

// scaled sets the size of the live environment and of its standby. Where that is
// left to others from now on, both keep the one that they have.
func (l Ledger) scaled(replicas int, autoscaled bool) (Ledger, error) {
	if !l.IsServing() {
		return l, invalid("scale", l.Live, "nothing is live")
	}
	for _, env := range Environments() {
		slot := l.Slot(env)
		if slot.Release == nil || (slot.State != Live && slot.State != Idle) {
			continue
		}
		size := replicas
		if autoscaled {
			size = slot.Release.Replicas
		}
		l = l.resized(env, size, autoscaled)
	}
	return l, nil
}

// resized notes the size of env, which holds a release, and who decides on it.
func (l Ledger) resized(env Environment, replicas int, autoscaled bool) Ledger {
	slot := l.Slot(env)
	release := *slot.Release
	release.Replicas, release.Autoscaled = replicas, autoscaled
	slot.Release = &release
	l = l.with(env, slot)
	if record, _ := l.Record(slot.Record); record.Status == StatusLive {
		record.Replicas = replicas
		l = l.withRecord(record)
	}
	return l
}

// admitted sets which instances of env may get its traffic.
func (l Ledger) admitted(env Environment, instances []InstanceRef) Ledger {
	slot := l.Slot(env)
	slot.Passed = instances
	return l.with(env, slot)
}

// watched says that the watch over the live release is over.
func (l Ledger) watched() Ledger {
	l.WatchDue = ""
	return l
}

// settled says that an operation ran to its end.
func (l Ledger) settled() Ledger {
	l.Created = true
	return l
}

// destroying takes the traffic away for good. Only the end of the destruction follows.
func (l Ledger) destroying() Ledger {
	if record, serving := l.LiveRecord(); serving {
		l = l.standDown(StatusSuperseded)
		record.Status, record.Reason = StatusSuperseded, "destroyed"
		l = l.withRecord(record)
	}
	l.Destroying, l.WatchDue = true, ""
	return l
}

// archive splits off the records that no environment refers to any more.
func (l Ledger) archive() (Ledger, []Record) {
	var open, closed []Record
	for _, r := range l.Records {
		if r.ID == l.Blue.Record || r.ID == l.Green.Record {
			open = append(open, r)
		} else {
			closed = append(closed, r)
		}
	}
	l.Records = open
	return l, closed
}

// standDown turns the live environment into the standby and gives its record status.
func (l Ledger) standDown(status RecordStatus) Ledger {
	slot := l.Slot(l.Live)
	record, _ := l.Record(slot.Record)
	record.Status = status
	slot.State = Idle
	return l.withRecord(record).with(l.Live, slot)
}

// giveUp closes a record that was on its way to become live.
func (l Ledger) giveUp(id, reason string) Ledger {
	record, ok := l.Record(id)
	if !ok || (record.Status != StatusInProgress && record.Status != StatusReady) {
		return l
	}
	record.Status, record.Reason = StatusFailed, reason
	return l.withRecord(record)
}

func (l Ledger) newRecord(op Operation, env Environment, release Release, by stamp) (Ledger, Record) {
	l.Sequence++
	return l, Record{
		ID: fmt.Sprintf("%s-%d", op, l.Sequence), Operation: op, Environment: env,
		Version: release.Version, Image: release.Image, ImageDigest: release.ImageDigest,
		Replicas: release.Replicas, Fingerprint: release.Fingerprint,
		DeployedAt: by.at, Status: StatusInProgress, Actor: by.actor,
	}
}

func (l Ledger) with(env Environment, slot Slot) Ledger {
	if env == Blue {
		l.Blue = slot
	} else {
		l.Green = slot
	}
	return l
}

// withRecord puts record in the place of the one with its ID, or at the end.
func (l Ledger) withRecord(record Record) Ledger {
	l.Records = slices.Clone(l.Records)
	i := slices.IndexFunc(l.Records, func(r Record) bool { return r.ID == record.ID })
	if i < 0 {
		l.Records = append(l.Records, record)
	} else {
		l.Records[i] = record
	}
	return l
}

// masked has the texts of its records go through mask.
func (l Ledger) masked(mask func(string) string) Ledger {
	l.Records = slices.Clone(l.Records)
	for i := range l.Records {
		record := &l.Records[i]
		record.Reason = mask(record.Reason)
		if record.Health == nil || len(record.Health.Causes) == 0 {
			continue
		}
		health := *record.Health
		health.Causes = maps.Clone(health.Causes)
		for check, cause := range health.Causes {
			health.Causes[check] = mask(cause)
		}
		record.Health = &health
	}
	return l
}

func invalid(operation string, env Environment, format string, args ...any) error {
	return &Error{InvalidState, operation, env, fmt.Errorf(format, args...)}
}
