// SPDX-License-Identifier: MPL-2.0

package bluegreen

import "time"

// Desired is what a configuration asks of a deployment. It names a level, not an
// event: asked twice, the second time there is nothing to do.
type Desired struct {
	Release Release
	// Promote false stops at a healthy preview in staging.
	Promote bool
	// Rollback asks that the release before Release serves.
	Rollback bool
	// KeepStandby false removes the old environment once it is drained.
	KeepStandby bool
	// MinHealthyPercent is how many of an environment's replicas must run, in 1..100.
	MinHealthyPercent int
}

// Step is one thing that an apply does.
type Step string

const (
	// StepDeployAndSwitch brings the release to staging, checks it, and switches.
	StepDeployAndSwitch Step = "deploy and switch"
	// StepPreview brings the release to staging, checks it, and stops there.
	StepPreview Step = "deploy a preview"
	// StepPromote checks the preview again and switches.
	StepPromote Step = "promote"
	// StepRollback makes the standby live.
	StepRollback Step = "roll back"
	// StepWatch finishes the watch that an interrupted apply left.
	StepWatch Step = "watch"
	// StepScale changes the size of live and standby in place.
	StepScale Step = "scale"
	// StepRepair starts what should run and does not, and removes what should not run.
	StepRepair Step = "repair"
	// StepRemoveStandby empties the environment that has no traffic.
	StepRemoveStandby Step = "remove the standby"
)

// Next decides what is to be done so that the deployment is as desired. running
// counts the instances that run in each environment. It is a pure function: the
// plan predicts with it what the apply will do.
//
// It returns ErrRollbackOfNewRelease or ErrNothingToRollBackTo for a rollback
// that cannot be.
func (l Ledger) Next(d Desired, running map[Environment]int) ([]Step, error) {
	l = l.resumed()
	var steps []Step
	switch want := d.Release.Seal().Fingerprint; {
	case d.Rollback:
		if !l.IsServing() {
			return nil, ErrNothingToRollBackTo
		}
		if l.RolledBackFingerprint() == want {
			break
		}
		if !l.Slot(l.Live).HasRelease(want) {
			return nil, ErrRollbackOfNewRelease
		}
		if _, available := l.RollbackTarget(); !available {
			return nil, ErrNothingToRollBackTo
		}
		steps = append(steps, StepRollback)
	case l.IsServing() && l.Slot(l.Live).HasRelease(want):
		if l.WatchDue != "" {
			steps = append(steps, StepWatch)
		}
	case l.previews(d.Release):
		if d.Promote {
			steps = append(steps, StepPromote)
		}
	case d.Promote:
		steps = append(steps, StepDeployAndSwitch)
	default:
		steps = append(steps, StepPreview)
	}
	after := l.after(steps, d)
	if len(steps) == 0 && l.needsRepair(running, d) {
		steps = append(steps, StepRepair)
	}
	if after.IsServing() && after.concerns(d) && !after.scaledAs(d.Release) {
		steps = append(steps, StepScale)
	}
	if standby := after.Slot(after.Staging()); !d.KeepStandby && standby.State == Idle && standby.Release != nil {
		steps = append(steps, StepRemoveStandby)
	}
	return steps, nil
}

// Predict returns the ledger as it will be once steps are done. What only the
// apply decides (times, IDs, digests, instances) is left as it is or empty.
func (l Ledger) Predict(steps []Step, d Desired) Ledger { return l.after(steps, d) }

func (l Ledger) after(steps []Step, d Desired) Ledger {
	for _, step := range steps {
		next, err := l.resumed().afterStep(step, d)
		if err != nil {
			// Next only names steps that the ledger allows.
			return l
		}
		l = next
	}
	return l
}

func (l Ledger) afterStep(step Step, d Desired) (Ledger, error) {
	now := time.Time{}
	switch step {
	case StepDeployAndSwitch, StepPreview:
		next, err := l.beginDeploy(l.sizeForDeploy(d.Release), stamp{})
		if err == nil {
			next, err = next.deployed("")
		}
		if err == nil {
			next, err = next.checked(HealthResult{Healthy: true})
		}
		if err == nil && step == StepDeployAndSwitch {
			next, err = next.switchTo(next.Staging(), now)
		}
		return next, err
	case StepPromote:
		return l.switchTo(l.Staging(), now)
	case StepRollback:
		return l.rollback("", stamp{})
	case StepScale:
		return l.scaled(d.Release.Replicas, d.Release.Autoscaled)
	case StepRemoveStandby:
		return l.cleaned()
	default:
		return l, nil
	}
}

// resumed is the ledger from which an apply goes on after whatever was
// interrupted before it.
func (l Ledger) resumed() Ledger {
	if l.Destroying {
		return NewLedger(l.Name)
	}
	return l.interrupted()
}

// interrupted closes what a holder that is gone left in progress: with the lock
// in hand, a release that is being deployed is being deployed by nobody.
func (l Ledger) interrupted() Ledger {
	if l.Slot(l.Staging()).State != Deploying {
		return l
	}
	next, err := l.failed("interrupted")
	if err != nil {
		return l
	}
	return next
}

// previews reports whether staging holds release, proven healthy and at its size.
func (l Ledger) previews(release Release) bool {
	slot := l.Slot(l.Staging())
	return slot.State == Ready && slot.Checked && slot.HasRelease(release.Seal().Fingerprint) && slot.Release.scaledAs(release)
}

// scaledAs reports whether live has the size that is asked for, and whether it is
// the same ones that decide on it in live and in its standby.
func (l Ledger) scaledAs(release Release) bool {
	standby := l.Slot(l.Staging())
	if standby.State == Idle && standby.Release != nil && standby.Release.Autoscaled != release.Autoscaled {
		return false
	}
	return l.Slot(l.Live).Release.scaledAs(release)
}

// concerns reports whether the size asked for is that of what serves, rather
// than that of a preview beside it.
func (l Ledger) concerns(d Desired) bool {
	return d.Rollback || l.Slot(l.Live).HasRelease(d.Release.Seal().Fingerprint)
}

// needsRepair reports whether an environment runs too little, or something runs
// where nothing should.
func (l Ledger) needsRepair(running map[Environment]int, d Desired) bool {
	for _, env := range Environments() {
		slot := l.Slot(env)
		switch {
		case slot.State == Idle && slot.Release != nil && (!d.KeepStandby || l.rolledBack(slot)):
			// It is to go, or waits to be deployed and checked anew: nobody goes back to it.
		case slot.wantsInstances():
			if running[env] < slot.Release.least(d.MinHealthyPercent) {
				return true
			}
		case running[env] > 0:
			return true
		}
	}
	return false
}

// rolledBack reports whether the release in slot was live and was taken back.
func (l Ledger) rolledBack(slot Slot) bool {
	record, found := l.Record(slot.Record)
	return found && record.Status == StatusRolledBack
}

// least is how many instances may run before that is worth a repair. One that
// others scale may be on its way from one size to another.
func (r Release) least(minHealthyPercent int) int {
	if r.Autoscaled {
		return 1
	}
	return required(r.Replicas, minHealthyPercent)
}

// wantsInstances reports whether instances belong in the slot's environment.
func (s Slot) wantsInstances() bool {
	return s.Release != nil && (s.State == Live || s.State == Idle || s.State == Ready)
}

// required is how many of n replicas must be healthy: percent of them, rounded up.
func required(n, percent int) int {
	return (n*percent + 99) / 100
}
