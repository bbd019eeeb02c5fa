// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
)

// rollback makes the release before the live one live again. It is one write;
// when the data plane does not follow, a second one undoes it.
func (s *session) rollback(ctx context.Context, reason string) error {
	ctx, cancel := context.WithTimeout(ctx, s.Config.SwitchTimeout)
	defer cancel()
	if err := s.rollbackTo(ctx, reason); err != nil {
		return err
	}
	if err := s.Platform.AwaitTraffic(ctx, s.ledger.Live); err != nil {
		return s.failure("rollback", s.ledger.Live, s.putBack(ctx, s.ledger.revertRollback, err))
	}
	return nil
}

// rollbackTo makes the standby live if it is there and alive.
func (s *session) rollbackTo(ctx context.Context, reason string) error {
	next, err := s.ledger.rollback(reason, s.stamp())
	if err != nil {
		return err
	}
	env := next.Live
	if err := s.alive(ctx, env); err != nil {
		return s.failure("rollback", env, err)
	}
	s.progress("rolling back to %s in %s", next.Slot(env).Release.Version, env)
	return s.failure("rollback", env, s.commit(ctx, next.settled()))
}

// alive makes sure that enough instances of env run, are ready as far as the
// platform judges that, and may have the traffic.
func (s *session) alive(ctx context.Context, env Environment) error {
	instances, err := s.Platform.Instances(ctx, env)
	if err != nil {
		return err
	}
	slot := s.ledger.Slot(env)
	// While an autoscaled one is recycled it has more instances than its size.
	size := min(slot.Release.size(instances), slot.Release.Replicas)
	able, why := 0, ""
	for _, instance := range instances {
		switch {
		case !instance.Running:
			why = fmt.Sprintf(": replica %s exited: %s", instance.ID, instance.Exit)
		case instance.Unready != "":
			why = fmt.Sprintf(": replica %s is not ready: %s", instance.ID, instance.Unready)
		case !slot.IsCounted(instance.Ref(), s.Platform.CanReceiveTraffic):
			why = fmt.Sprintf(": replica %s was made anew and has not been let in; an apply without the rollback does that", instance.ID)
		default:
			able++
		}
	}
	if able < required(size, s.Config.MinHealthyPercent) {
		return fmt.Errorf("%d of %d replicas of the standby can take the traffic%s", able, size, why)
	}
	return nil
}
