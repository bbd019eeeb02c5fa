// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// rollBack makes the release before the live one live again, in one commit. If
// traffic does not reach it in time, a second commit reverts the rollback. A standby that an
// autoscaler has made smaller than live is brought to live's size before, if it is to be checked.
func (e *executor) rollBack(ctx context.Context, reason string, origin Origin) error {
	if err := ctx.Err(); err != nil {
		return operationError("rollback", e.ledger.Live, endOf(ctx))
	}
	if e.Config.RollbackCheck {
		if err := e.growStandby(ctx); err != nil {
			return err
		}
	}
	// From here on an interrupt does not end the rollback: it succeeds or is reverted.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.Config.SwitchTimeout)
	defer cancel()
	if err := e.switchToStandby(ctx, reason, origin); err != nil {
		return err
	}
	if err := e.Platform.AwaitTraffic(ctx, e.ledger.Live); err != nil {
		return operationError("rollback", e.ledger.Live, e.revertTraffic(ctx, e.ledger.revertRollback, err))
	}
	return nil
}

// switchToStandby commits a rollback, if the standby can take the traffic and is healthy.
func (e *executor) switchToStandby(ctx context.Context, reason string, origin Origin) error {
	next, err := e.ledger.rollBack(reason, e.stamp(origin))
	if err != nil {
		return err
	}
	env := next.Live
	standby, err := e.requireStandby(ctx, env)
	if err == nil && e.Config.RollbackCheck {
		err = e.requireHealthy(ctx, env, standby)
	}
	if err != nil {
		return operationError("rollback", env, err)
	}
	e.progress("rolling back to %s in %s", next.Slot(env).Release.Version, env)
	return operationError("rollback", env, e.commit(ctx, next.markCreated()))
}

// requireHealthy probes each of these instances of env once, all at the same time. It
// returns an error unless enough of them are healthy. An instance that was started again
// since it passed its health check may still be starting: it gets until ctx ends, at
// most switch_timeout, to pass. If the platform replaces an instance meanwhile, those that
// there are then are probed.
func (e *executor) requireHealthy(ctx context.Context, env Environment, instances []Instance) error {
	e.progress("probing the standby in %s", env)
	slot := e.ledger.Slot(env)
	waiting, cancel := context.WithTimeout(ctx, e.Config.SwitchTimeout)
	defer cancel()
	for {
		f := newFinding(*slot.Release, instances, e.Config.MinHealthyPercent)
		f.outcomes = forEach(instances, func(instance Instance) outcome {
			if slices.Contains(slot.Passed, instance.Ref()) {
				return e.probeOnce(ctx, env, instance)
			}
			return e.checkInstance(waiting, env, instance)
		})
		if f.isHealthy() {
			return nil
		}
		isGone := func(o outcome) bool { return errors.Is(o.exit, errGone) }
		if waiting.Err() != nil || !slices.ContainsFunc(f.outcomes, isGone) {
			return fmt.Errorf("the standby is not healthy: %w", f.unhealthyError())
		}
		var err error
		if instances, err = e.requireStandby(ctx, env); err != nil {
			return err
		}
	}
}

// startedInstances returns the instances of env once none is about to be started, or
// when switch_timeout is over.
func (e *executor) startedInstances(ctx context.Context, env Environment) ([]Instance, error) {
	instances, err := e.Platform.Instances(ctx, env)
	if err != nil {
		return nil, err
	}
	waiting, cancel := context.WithTimeout(ctx, e.Config.SwitchTimeout)
	defer cancel()
	return forEach(instances, func(i Instance) Instance { return e.awaitStart(waiting, env, i) }), nil
}

// requireStandby returns the instances of env that run, may receive traffic, and are ready
// if the platform judges that and the standby is to be checked. It returns an error unless
// there are enough of them.
func (e *executor) requireStandby(ctx context.Context, env Environment) ([]Instance, error) {
	instances, err := e.startedInstances(ctx, env)
	if err != nil {
		return nil, err
	}
	slot := e.ledger.Slot(env)
	// While the standby's pods are replaced, there are more instances than its size.
	size := min(slot.Release.expectedSize(instances), slot.Release.Replicas)
	able, causes := slot.judgeStandby(instances, e.Platform.CanReceiveTraffic, e.Config.RollbackCheck)
	if len(able) < requiredReplicas(size, e.Config.MinHealthyPercent) {
		return nil, tooFewError(len(able), size, causes)
	}
	return able, nil
}
