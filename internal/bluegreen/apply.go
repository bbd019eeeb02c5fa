// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
)

var (
	// ErrExists: a deployment of this name serves already, and belongs to somebody.
	ErrExists = errors.New("a deployment of this name exists already")
	// ErrPlanStale: the deployment has moved on since the plan was made.
	ErrPlanStale = errors.New("the plan is stale")
)

// Create makes a deployment that is as desired. What an interrupted Create of
// the same name left is finished, or removed; a deployment that somebody has
// finished is left alone, and the error is ErrExists.
//
// When the first release does not go live, or does not stay healthy there,
// nothing is left of the deployment.
func (d *Deployer) Create(ctx context.Context, desired Desired) (warnings []error, err error) {
	if desired.Rollback {
		return nil, &Error{RollbackFailed, "rollback", Blue, ErrNothingToRollBackTo}
	}
	err = d.founded(ctx, func(s *session) (err error) {
		served := s.ledger.IsServing()
		defer func() { warnings = s.warnings }()
		err = s.converge(ctx, desired)
		if err == nil || served || (s.ledger.IsServing() && ctx.Err() != nil) {
			return err
		}
		return s.dissolve(ctx, err)
	})
	return warnings, err
}

// founded runs create with the lock and a ledger that belongs to nobody else.
func (d *Deployer) founded(ctx context.Context, create func(*session) error) error {
	unlock, err := d.Platform.Lock(ctx, d.Actor)
	if err != nil {
		return d.lockError(ctx, "create", err)
	}
	defer unlock()
	s := &session{Deployer: d, ledger: NewLedger(d.Deployment)}
	stored, err := d.Platform.Load(ctx)
	switch {
	case errors.Is(err, ErrNotFound):
		err = s.commit(ctx, s.ledger)
	case err != nil:
		return err
	case stored.Created && !stored.Destroying:
		return fmt.Errorf("%w, and is at generation %d", ErrExists, stored.Generation)
	case stored.IsServing():
		s.ledger = stored
		err = s.recover(ctx)
	default:
		s.ledger = stored
		err = s.renew(ctx)
	}
	if err != nil {
		return s.failure("create", s.ledger.Staging(), err)
	}
	return create(s)
}

// dissolve removes a deployment that never came to serve anybody well.
func (s *session) dissolve(ctx context.Context, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if err := s.destroy(ctx); err != nil {
		return errors.Join(cause, fmt.Errorf("removing what was made: %w; the next run does it", err))
	}
	return cause
}

// Apply brings a deployment from what the plan was made from to what is desired.
// It changes nothing and returns ErrPlanStale when the deployment has moved on
// since. Trouble with the old side after traffic has moved comes as a warning.
func (d *Deployer) Apply(ctx context.Context, planned Ledger, desired Desired) (warnings []error, err error) {
	err = d.opened(ctx, "apply", func(s *session) (err error) {
		if err := s.stale(planned); err != nil {
			return err
		}
		if err := s.recover(ctx); err != nil {
			return err
		}
		err = s.converge(ctx, desired)
		warnings = s.warnings
		return err
	})
	return warnings, err
}

// stale compares the ledger with the one the plan was made from.
func (s *session) stale(planned Ledger) error {
	switch found := s.ledger; {
	case found.Live != planned.Live || found.IsServing() != planned.IsServing():
		return fmt.Errorf("%w: %s was live when it was made, and now %s is", ErrPlanStale, planned.Live, found.Live)
	case found.IsServing() && !found.Slot(found.Live).HasRelease(planned.Slot(planned.Live).Release.Fingerprint):
		return fmt.Errorf("%w: another release is live in %s now", ErrPlanStale, found.Live)
	case found.Generation != planned.Generation:
		return fmt.Errorf("%w: it was made at generation %d, and the deployment is at %d", ErrPlanStale, planned.Generation, found.Generation)
	}
	return nil
}

// converge does what Next names, until the deployment is as desired.
func (s *session) converge(ctx context.Context, desired Desired) error {
	// Judged as the plan was: what runs may not be what should.
	status, err := s.Platform.Observe(ctx)
	if err != nil {
		return err
	}
	steps, err := s.ledger.Next(desired, status.Running)
	if err != nil {
		return &Error{RollbackFailed, "rollback", s.ledger.Live, err}
	}
	if s.ledger.Destroying {
		if err := s.renew(ctx); err != nil {
			return err
		}
	}
	for _, step := range steps {
		err := s.do(ctx, step, desired)
		if err != nil && step == StepRemoveStandby {
			s.warnings = append(s.warnings, err)
			continue
		}
		if err != nil {
			return err
		}
	}
	if len(steps) > 0 && s.ledger.Created {
		return nil
	}
	// Settings that no step carries, such as where to listen, go with this commit.
	return s.commit(ctx, s.ledger.settled())
}

func (s *session) do(ctx context.Context, step Step, desired Desired) error {
	switch step {
	case StepDeployAndSwitch:
		return s.deployAndSwitch(ctx, desired.Release)
	case StepPreview:
		return s.preview(ctx, desired.Release)
	case StepPromote:
		return s.promote(ctx)
	case StepRollback:
		return s.rollback(ctx, "asked for by the configuration")
	case StepWatch:
		return s.resume(ctx)
	case StepScale:
		if desired.Release.Autoscaled {
			return s.letScale(ctx)
		}
		return s.scale(ctx, desired.Release.Replicas)
	case StepRepair:
		return s.repair(ctx, desired.Release)
	case StepRemoveStandby:
		return s.removeStandby(ctx)
	default:
		return fmt.Errorf("unknown step %q", step)
	}
}
