// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"fmt"
	"math"
	"slices"
	"time"
)

// Desired is what a configuration asks of a deployment. It describes a state and
// not an action: once the deployment is as desired, there is nothing to do.
type Desired struct {
	Release Release
	// Promote brings Release live. If it is false, Release stops as a healthy preview
	// in staging.
	Promote bool
	// Rollback asks that the release before Release is live.
	Rollback bool
	// Retry is the ID of a record whose release may be deployed again although a watch or
	// an operator took it out of service, "" for none. It names one attempt only.
	Retry string
	// KeepStandby keeps the standby for a rollback. If it is false, the standby is
	// removed once it is drained.
	KeepStandby bool
	// MinHealthyPercent of an environment's replicas must run, in 1..100, rounded up;
	// otherwise it is repaired.
	MinHealthyPercent int
}

// Step is one thing that an apply does.
type Step string

const (
	// StepDeployAndSwitch brings the release to staging, checks it, and switches.
	StepDeployAndSwitch Step = "deploy and switch"
	// StepPreview brings the release to staging and checks it.
	StepPreview Step = "deploy a preview"
	// StepPromote checks the preview again and switches.
	StepPromote Step = "promote"
	// StepRollback makes the standby live.
	StepRollback Step = "roll back"
	// StepWatch begins the watch again that an interrupted apply left.
	StepWatch Step = "watch"
	// StepScale changes the size of live and standby in place, or leaves it to an autoscaler.
	StepScale Step = "scale"
	// StepRepair starts what should run and does not, and removes what should not run.
	StepRepair Step = "repair"
	// StepRemoveStandby empties the environment that has no traffic.
	StepRemoveStandby Step = "remove the standby"
)

// Next returns the steps that make the deployment as desired. running counts the
// instances in each environment; see Status.Usable. Next is a pure function: the plan and the
// apply both call it and agree as long as nothing has changed between them.
//
// For a rollback that is not possible it returns ErrRollbackOfNewRelease or
// ErrNothingToRollBackTo, and for a release that is not deployed again by itself a
// *RolledBackError.
func (l Ledger) Next(d Desired, running map[Environment]int) ([]Step, error) {
	if l.Destroying {
		// All that runs is removed before the deployment is created again.
		running = nil
	}
	l = l.recoverInterrupted()
	var steps []Step
	if err := l.requireNotRolledBack(d.Release, d.Retry); err != nil && !d.Rollback {
		return nil, err
	}
	switch {
	case d.Rollback:
		if !l.IsServing() {
			return nil, ErrNothingToRollBackTo
		}
		if l.isLiveARollbackOf(d.Release) {
			break
		}
		if !l.HasRelease(l.Live, d.Release) {
			return nil, ErrRollbackOfNewRelease
		}
		if _, err := l.rollbackTarget(); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNothingToRollBackTo, err)
		}
		steps = append(steps, StepRollback)
	case l.IsServing() && l.HasRelease(l.Live, d.Release):
		if l.WatchDue != "" {
			steps = append(steps, StepWatch)
		}
	case l.hasPreview(d.Release):
		if d.Promote {
			steps = append(steps, StepPromote)
		}
	case d.Promote:
		steps = append(steps, StepDeployAndSwitch)
	default:
		steps = append(steps, StepPreview)
	}
	after := l.Predict(steps, d)
	if after.hasDrift(l.runningAfter(steps, running), d) {
		steps = append(steps, StepRepair)
	}
	if after.IsServing() && after.isDesiredForLive(d) && !after.hasSizeOf(d.Release) {
		steps = append(steps, StepScale)
	}
	if standby := after.Slot(after.Staging()); !d.KeepStandby && standby.State == Idle && standby.Release != nil {
		steps = append(steps, StepRemoveStandby)
	}
	return steps, nil
}

// Predict returns the ledger as it is after steps. What only the apply decides
// (times, digests, instances) stays as it is or is empty. Predict is a pure function.
func (l Ledger) Predict(steps []Step, d Desired) Ledger {
	l = l.recoverInterrupted()
	for _, step := range steps {
		next, err := l.predictStep(step, d)
		if err != nil {
			// This does not happen to the steps that Next returns.
			return l
		}
		l = next
	}
	return l
}

// predictStep returns the ledger as it is after one step.
func (l Ledger) predictStep(step Step, d Desired) (Ledger, error) {
	now := time.Time{}
	switch step {
	case StepDeployAndSwitch, StepPreview:
		next, err := l.beginDeploy(l.sizeForDeploy(d.Release), stamp{})
		if err == nil {
			next, err = next.finishDeploy("")
		}
		if err == nil {
			next, err = next.recordCheck(HealthResult{Healthy: true})
		}
		if err == nil && step == StepDeployAndSwitch {
			next, err = next.switchTo(next.Staging(), now)
		}
		return next, err
	case StepPromote:
		return l.switchTo(l.Staging(), now)
	case StepRollback:
		return l.rollBack("", stamp{})
	case StepScale:
		return l.scale(d.Release.Replicas, d.Release.Autoscaled)
	case StepRemoveStandby:
		return l.clearStaging()
	default:
		return l, nil
	}
}

// recoverInterrupted returns the ledger that an apply starts from, after an
// operation that was interrupted before it, if there was one.
func (l Ledger) recoverInterrupted() Ledger {
	if l.Destroying {
		return NewLedger(l.Name)
	}
	return l.failInterrupted()
}

// failInterrupted records that the release in staging failed if it was being deployed: the
// process that deployed it has died. Only the holder of the lock can know that.
func (l Ledger) failInterrupted() Ledger {
	if l.Slot(l.Staging()).State != Deploying {
		return l
	}
	next, err := l.failRelease("interrupted")
	if err != nil {
		return l
	}
	return next
}

// hasPreview reports whether staging holds release, checked and at its size.
func (l Ledger) hasPreview(release Release) bool {
	slot := l.Slot(l.Staging())
	return slot.State == Ready && slot.Checked &&
		l.HasRelease(l.Staging(), release) && slot.Release.hasSizeOf(release)
}

// hasSizeOf reports whether live has the size of release, or is autoscaled as
// release is. The standby must be autoscaled or not as live is.
func (l Ledger) hasSizeOf(release Release) bool {
	standby := l.Slot(l.Staging())
	if standby.State == Idle && standby.Release != nil && standby.Release.Autoscaled != release.Autoscaled {
		return false
	}
	return l.Slot(l.Live).Release.hasSizeOf(release)
}

// isDesiredForLive reports whether the desired size is that of live. Otherwise it
// is the size of a preview.
func (l Ledger) isDesiredForLive(d Desired) bool {
	return d.Rollback || l.HasRelease(l.Live, d.Release)
}

// runningAfter returns running as it is after steps: what they deploy is complete.
func (l Ledger) runningAfter(steps []Step, running map[Environment]int) map[Environment]int {
	if !slices.Contains(steps, StepDeployAndSwitch) && !slices.Contains(steps, StepPreview) {
		return running
	}
	after := map[Environment]int{l.Live: running[l.Live]}
	after[l.Staging()] = math.MaxInt
	return after
}

// hasDrift reports whether an environment runs too few instances, or one runs where
// none should.
func (l Ledger) hasDrift(running map[Environment]int, d Desired) bool {
	for _, env := range Environments() {
		slot := l.Slot(env)
		switch {
		case slot.State == Idle && slot.Release != nil && (!d.KeepStandby || l.isRolledBack(slot)):
			// No rollback leads to it: it is about to be removed, or was itself rolled back.
		case slot.State == Ready && !slot.Checked:
			// It has not passed its check: it may never run.
		case slot.isMeantToRun():
			if running[env] < slot.Release.minRunning(d.MinHealthyPercent) {
				return true
			}
		case running[env] > 0:
			return true
		}
	}
	return false
}

// isRolledBack reports whether the release in slot was taken out of service by a rollback.
func (l Ledger) isRolledBack(slot Slot) bool {
	record, found := l.Record(slot.Record)
	return found && record.Status == StatusRolledBack
}

// minRunning returns how many instances must run so that no repair is needed. For
// an autoscaled release that is one, because the autoscaler may be changing its size.
func (r Release) minRunning(minHealthyPercent int) int {
	if r.Autoscaled {
		return 1
	}
	return requiredReplicas(r.Replicas, minHealthyPercent)
}

// isMeantToRun reports whether instances should run in the slot's environment.
func (s Slot) isMeantToRun() bool {
	return s.Release != nil && (s.State == Live || s.State == Idle || s.State == Ready)
}

// requiredReplicas returns how many of n replicas must be healthy: percent of them,
// rounded up.
func requiredReplicas(n, percent int) int {
	return (n*percent + 99) / 100
}
