// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
)

// ErrPlanStale says that the deployment has changed since the plan was made.
// Nothing was touched.
var ErrPlanStale = errors.New("the plan is stale")

// Apply brings a deployment from planned, the ledger that the plan was made from,
// to what is desired. If the deployment has changed since, it does nothing and
// returns ErrPlanStale. Problems with the standby come as warnings.
func (d *Deployer) Apply(ctx context.Context, planned Ledger, desired Desired) (warnings []error, err error) {
	err = d.withLock(ctx, "apply", func(e *executor) (err error) {
		if err := e.requireFreshPlan(planned); err != nil {
			return err
		}
		if err := e.recoverInterrupted(ctx); err != nil {
			return err
		}
		err = e.converge(ctx, desired)
		warnings = e.warnings
		return err
	})
	return warnings, err
}

// requireFreshPlan returns ErrPlanStale unless the ledger is still planned.
func (e *executor) requireFreshPlan(planned Ledger) error {
	switch found := e.ledger; {
	case planned.IsServing() && !found.IsServing():
		return fmt.Errorf("%w: %s was live when it was made, and nothing is live now", ErrPlanStale, planned.Live)
	case found.IsServing() && !planned.IsServing():
		return fmt.Errorf("%w: nothing was live when it was made, and %s is live now", ErrPlanStale, found.Live)
	case found.Live != planned.Live:
		return fmt.Errorf("%w: %s was live when it was made, and %s is live now",
			ErrPlanStale, planned.Live, found.Live)
	case found.IsServing() && !found.Slot(found.Live).HasFingerprint(planned.Slot(planned.Live).Release.Fingerprint):
		return fmt.Errorf("%w: another release is live in %s now", ErrPlanStale, found.Live)
	case found.Generation != planned.Generation:
		return fmt.Errorf("%w: the deployment was changed after the plan was made", ErrPlanStale)
	case found.IsServing() && planned.HasKeyedFingerprint() && planned.Key == "" && found.Key != "":
		// It could not tell which release is which.
		return fmt.Errorf("%w: it was made without the key of the deployment's fingerprints", ErrPlanStale)
	}
	return nil
}

// converge takes the steps that Next names. Then the deployment is as desired.
func (e *executor) converge(ctx context.Context, desired Desired) error {
	// The plan counted the running instances too, so that both decide on the same steps.
	status, err := e.Platform.Observe(ctx)
	if err != nil {
		return err
	}
	steps, err := e.ledger.Next(desired, status.Usable())
	var rolledBack *RolledBackError
	if errors.As(err, &rolledBack) {
		return &Error{InvalidState, "deploy", e.ledger.Staging(), err}
	}
	if err != nil {
		return &Error{RollbackFailed, "rollback", e.ledger.Live, err}
	}
	if e.ledger.Destroying {
		if err := e.startOver(ctx); err != nil {
			return err
		}
	}
	for _, step := range steps {
		err := e.do(ctx, step, desired)
		if err != nil && step == StepRemoveStandby {
			e.warnings = append(e.warnings, err)
			continue
		}
		if err != nil {
			return err
		}
	}
	if len(steps) > 0 && e.ledger.Created && len(status.Drift) == 0 {
		return nil
	}
	// This commit also carries settings that have no step, such as where to listen, and sets
	// drift that has none again.
	return e.commit(ctx, e.ledger.markCreated())
}

// do takes one step.
func (e *executor) do(ctx context.Context, step Step, desired Desired) error {
	switch step {
	case StepDeployAndSwitch:
		return e.deployAndSwitch(ctx, desired.Release)
	case StepPreview:
		return e.deployPreview(ctx, desired.Release)
	case StepPromote:
		return e.promote(ctx)
	case StepRollback:
		return e.rollBack(ctx, "requested by the configuration", FromConfiguration)
	case StepWatch:
		return e.resumeWatch(ctx)
	case StepScale:
		if desired.Release.Autoscaled {
			return e.leaveSizeToAutoscaler(ctx)
		}
		return e.scale(ctx, desired.Release.Replicas)
	case StepRepair:
		return e.repair(ctx, desired.Release)
	case StepRemoveStandby:
		return e.removeStandby(ctx)
	default:
		return fmt.Errorf("unknown step %q", step)
	}
}
