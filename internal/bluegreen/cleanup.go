// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// cleanupMargin is the time that cleaning up may take besides draining and stopping.
const cleanupMargin = time.Minute

// cleanupContext returns the context for cleaning up after an operation that
// failed. An interrupt does not end it. It ends drain_timeout, stop_timeout and one
// minute from now.
func (e *executor) cleanupContext(ctx context.Context) (context.Context, context.CancelFunc) {
	limit := e.Config.DrainTimeout + e.Config.StopTimeout + cleanupMargin
	return context.WithTimeout(context.WithoutCancel(ctx), limit)
}

// recoverInterrupted cleans up what a process left that died during an operation.
// A release that was being deployed has failed, and instances in an environment
// that should have none are removed.
func (e *executor) recoverInterrupted(ctx context.Context) error {
	env := e.ledger.Staging()
	if e.ledger.Slot(env).State == Deploying {
		if err := e.commit(ctx, e.ledger.failInterrupted()); err != nil {
			return fmt.Errorf("recording that a deploy was interrupted: %w", err)
		}
	}
	if e.ledger.Destroying || e.ledger.Slot(env).isMeantToRun() {
		return nil
	}
	instances, err := e.Platform.Instances(ctx, env)
	if err == nil && len(instances) > 0 {
		// It may have had the traffic a moment ago.
		err = e.Platform.Drain(ctx, env)
		if err == nil {
			err = e.Platform.Remove(ctx, env)
		}
	}
	if err != nil {
		return fmt.Errorf("removing what an interrupted operation left in %s: %w", env, err)
	}
	return nil
}

// giveUpOnError returns err. If err is not nil, it first gives up the release in
// staging: the record says why it failed, and its instances are removed. Live is
// not touched.
func (e *executor) giveUpOnError(ctx context.Context, err error) error {
	env := e.ledger.Staging()
	state := e.ledger.Slot(env).State
	if err == nil || errors.Is(err, InvalidState) || (state != Deploying && state != Ready && state != Failed) {
		return err
	}
	ctx, cancel := e.cleanupContext(ctx)
	defer cancel()
	if cleanupErr := e.giveUp(ctx, env, err); cleanupErr != nil {
		return errors.Join(err, fmt.Errorf("cleaning up %s: %w; the next run finishes it", env, cleanupErr))
	}
	return err
}

// giveUp records that the release in env, which is staging, failed because of
// cause, and removes its instances.
func (e *executor) giveUp(ctx context.Context, env Environment, cause error) error {
	e.progress("giving up the release in %s", env)
	if e.ledger.Slot(env).State != Failed {
		next, err := e.ledger.failRelease(reasonOf(cause))
		if err != nil {
			return err
		}
		if err := e.commit(ctx, next); err != nil {
			return err
		}
	}
	if err := e.Platform.Drain(ctx, env); err != nil {
		return err
	}
	return e.Platform.Remove(ctx, env)
}

// reasonOf returns the one line that a record keeps of an error.
func reasonOf(err error) string {
	var failure *Error
	switch {
	case errors.Is(err, context.Canceled):
		return "interrupted"
	case errors.As(err, &failure):
		return failure.Cause.Error()
	default:
		return err.Error()
	}
}

// revertTraffic commits what revert makes of the ledger, because traffic did not
// reach live, and returns an error that says so. If the former environment cannot
// take the traffic any more, the ledger stays as it is.
func (e *executor) revertTraffic(
	ctx context.Context, revert func(reason string) (Ledger, error), cause error,
) error {
	ctx, cancel := e.cleanupContext(ctx)
	defer cancel()
	live, former := e.ledger.Live, e.ledger.Staging()
	notReached := fmt.Errorf("traffic did not reach %s: %w", live, cause)
	if e.ledger.Slot(former).Release != nil {
		if _, err := e.requireStandby(ctx, former); err != nil {
			return fmt.Errorf("%w; the traffic cannot be put back to %s: %w", notReached, former, err)
		}
	}
	e.progress("traffic did not reach %s: putting the traffic back", live)
	next, err := revert(notReached.Error())
	if err == nil {
		err = e.commit(ctx, next)
	}
	if err != nil {
		return errors.Join(notReached, fmt.Errorf("putting the traffic back: %w", err))
	}
	return fmt.Errorf("%w; the traffic is back where it was", notReached)
}

// removeFailedCreate removes a new deployment whose first release failed because
// of cause, and returns cause.
func (e *executor) removeFailedCreate(ctx context.Context, cause error) error {
	ctx, cancel := e.cleanupContext(ctx)
	defer cancel()
	if err := e.destroy(ctx); err != nil {
		return errors.Join(cause, fmt.Errorf("removing the new deployment: %w; the next run finishes it", err))
	}
	return cause
}

// removeStandby drains and empties the environment that has no traffic.
func (e *executor) removeStandby(ctx context.Context) error {
	env := e.ledger.Staging()
	next, err := e.ledger.clearStaging()
	if err != nil {
		return err
	}
	e.progress("draining and removing what is left in %s", env)
	if err := e.Platform.Drain(ctx, env); err != nil {
		return operationError("cleanup", env, err)
	}
	// The ledger comes first: a rollback must not count on instances that are gone.
	if err := e.commit(ctx, next); err != nil {
		return operationError("cleanup", env, err)
	}
	return operationError("cleanup", env, e.Platform.Remove(ctx, env))
}
