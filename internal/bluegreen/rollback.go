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

// alive makes sure that enough instances run in env, and may carry the traffic.
func (s *session) alive(ctx context.Context, env Environment) error {
	instances, err := s.Platform.Instances(ctx, env)
	if err != nil {
		return err
	}
	slot := s.ledger.Slot(env)
	size := slot.Release.size(instances)
	able, stranger := 0, ""
	for _, instance := range runningOf(instances) {
		if slot.Counts(instance.Ref(), s.Platform.Admits) {
			able++
		} else {
			stranger = instance.ID
		}
	}
	if able >= required(size, s.Config.MinHealthyPercent) {
		return nil
	}
	if stranger != "" {
		return fmt.Errorf("%d of %d replicas of the standby can have traffic: replica %s was made since and has not been let in; apply without the rollback repairs it", able, size, stranger)
	}
	for _, instance := range instances {
		if !instance.Running {
			return fmt.Errorf("%d of %d replicas of the standby run: replica %s exited: %s", able, size, instance.ID, instance.Exit)
		}
	}
	return fmt.Errorf("%d of %d replicas of the standby run", able, size)
}
