// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
)

// rollBack makes the release before the live one live again, in one commit. If
// traffic does not reach it in time, a second commit reverts the rollback.
func (e *executor) rollBack(ctx context.Context, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, e.Config.SwitchTimeout)
	defer cancel()
	if err := e.switchToStandby(ctx, reason); err != nil {
		return err
	}
	if err := e.Platform.AwaitTraffic(ctx, e.ledger.Live); err != nil {
		return operationError("rollback", e.ledger.Live, e.revertTraffic(ctx, e.ledger.revertRollback, err))
	}
	return nil
}

// switchToStandby commits a rollback, if the standby can take the traffic.
func (e *executor) switchToStandby(ctx context.Context, reason string) error {
	next, err := e.ledger.rollBack(reason, e.stamp())
	if err != nil {
		return err
	}
	env := next.Live
	if err := e.requireStandby(ctx, env); err != nil {
		return operationError("rollback", env, err)
	}
	e.progress("rolling back to %s in %s", next.Slot(env).Release.Version, env)
	return operationError("rollback", env, e.commit(ctx, next.markCreated()))
}

// requireStandby returns an error unless enough instances of env run, are ready
// if the platform judges that, and may receive traffic.
func (e *executor) requireStandby(ctx context.Context, env Environment) error {
	instances, err := e.Platform.Instances(ctx, env)
	if err != nil {
		return err
	}
	slot := e.ledger.Slot(env)
	// While the standby's pods are replaced, there are more instances than its size.
	size := min(slot.Release.expectedSize(instances), slot.Release.Replicas)
	able, why := 0, ""
	for _, instance := range instances {
		switch {
		case !instance.Running:
			why = fmt.Sprintf(": replica %s exited: %s", instance.ID, instance.Exit)
		case instance.Unready != "":
			why = fmt.Sprintf(": replica %s is not ready: %s", instance.ID, instance.Unready)
		case !slot.IsCounted(instance.Ref(), e.Platform.CanReceiveTraffic):
			why = fmt.Sprintf(": replica %s was replaced and does not receive traffic yet; "+
				"an apply without the rollback changes that", instance.ID)
		default:
			able++
		}
	}
	if able < requiredReplicas(size, e.Config.MinHealthyPercent) {
		return fmt.Errorf("%d of %d replicas of the standby can take the traffic%s", able, size, why)
	}
	return nil
}
