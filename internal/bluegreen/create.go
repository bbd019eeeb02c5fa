// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
)

// ErrExists says that Create found a finished deployment of the same name, which
// belongs to another configuration. It was not touched.
var ErrExists = errors.New("a deployment of this name exists already")

// ErrCreateUnconfirmed says that Create did all it had to do, but the platform did not confirm its
// last commit. The deployment may be complete.
var ErrCreateUnconfirmed = errors.New("the deployment is not confirmed to be complete")

// Create makes a deployment that is as desired. What an interrupted Create of
// the same name left is finished, or removed. A finished deployment is left
// alone, and the error is ErrExists.
//
// If the first release does not go live, or does not stay healthy there, nothing
// is left of the deployment.
func (d *Deployer) Create(ctx context.Context, desired Desired) (warnings []error, err error) {
	if desired.Rollback {
		cause := fmt.Errorf("%w: no release of this deployment serves yet", ErrNothingToRollBackTo)
		return nil, &Error{RollbackFailed, "rollback", Blue, cause}
	}
	err = d.withNewLedger(ctx, func(e *executor) (err error) {
		served := e.ledger.IsServing()
		defer func() { warnings = e.warnings }()
		err = e.converge(ctx, desired)
		if err == nil || served || (e.ledger.IsServing() && isUndecided(err)) {
			return err
		}
		return e.removeFailedCreate(ctx, err)
	})
	return warnings, err
}

// isUndecided reports whether err says nothing about the health of the release.
func isUndecided(err error) bool {
	return errors.Is(err, Interrupted) || errors.Is(err, Timeout) || errors.Is(err, PlatformUnavailable)
}

// withNewLedger runs create with the lock held and a ledger that belongs to
// no other configuration: a new one, or that of an interrupted Create.
func (d *Deployer) withNewLedger(ctx context.Context, create func(*executor) error) error {
	unlock, err := d.lock(ctx, "create")
	if err != nil {
		return err
	}
	defer unlock()
	e := &executor{Deployer: d, ledger: NewLedger(d.Deployment)}
	stored, err := d.Platform.Load(ctx)
	stored = d.withKey(stored)
	switch {
	case errors.Is(err, ErrNotFound):
		err = e.commit(ctx, e.ledger)
	case err != nil:
		return err
	case stored.Created && !stored.Destroying:
		return ErrExists
	case stored.IsServing():
		e.ledger = stored
		err = e.recoverInterrupted(ctx)
	default:
		e.ledger = stored
		err = e.startOver(ctx)
	}
	if err != nil {
		return operationError("create", e.ledger.Staging(), err)
	}
	return create(e)
}

// startOver removes the deployment, which serves nothing, and creates it again.
func (e *executor) startOver(ctx context.Context) error {
	if err := e.destroy(ctx); err != nil {
		return err
	}
	e.ledger = NewLedger(e.Deployment)
	return e.commit(ctx, e.ledger)
}
