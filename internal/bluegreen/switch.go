// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// switchTraffic makes staging live in one commit. When the data plane does not
// follow in time, a second one puts traffic back where it was.
func (s *session) switchTraffic(ctx context.Context) error {
	env := s.ledger.Staging()
	if s.ledger.Slot(env).State == Ready && ctx.Err() != nil {
		return s.failure("switch", env, ctx.Err())
	}
	next, err := s.ledger.switchTo(env, s.Now().UTC())
	if err != nil {
		return err
	}
	// From here on the switch is seen through to one of its two ends.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Config.SwitchTimeout)
	defer cancel()
	if err := s.stillThere(ctx, env); err != nil {
		return s.failure("switch", env, err)
	}
	s.progress("switching traffic to %s in %s", next.Slot(env).Release.Version, env)
	if err := s.commit(ctx, next); err != nil {
		return s.failure("switch", env, err)
	}
	return s.followed(ctx)
}

// followed returns when the data plane carries traffic to live. If it does not,
// the switch is undone.
func (s *session) followed(ctx context.Context) error {
	if err := s.Platform.AwaitTraffic(ctx, s.ledger.Live); err != nil {
		return s.unfollowed(ctx, err)
	}
	return nil
}

// unfollowed undoes a switch that the data plane did not follow.
func (s *session) unfollowed(ctx context.Context, cause error) error {
	return s.failure("switch", s.ledger.Live, s.putBack(ctx, s.ledger.revertSwitch, cause))
}

// resume takes up the watch that an interrupted operation left.
func (s *session) resume(ctx context.Context) error {
	following, cancel := context.WithTimeout(ctx, s.Config.SwitchTimeout)
	defer cancel()
	err := s.Platform.AwaitTraffic(following, s.ledger.Live)
	switch {
	case err == nil:
		return s.watch(ctx)
	case ctx.Err() != nil:
		// That nobody waits any more says nothing about the traffic.
		return s.failure("watch", s.ledger.Live, ctx.Err())
	default:
		return s.undoOnError(ctx, s.unfollowed(ctx, err))
	}
}

// stillThere makes sure that the instances that passed the check are the ones that run.
func (s *session) stillThere(ctx context.Context, env Environment) error {
	slot := s.ledger.Slot(env)
	instances, err := s.Platform.Instances(ctx, env)
	if err != nil {
		return err
	}
	alive := 0
	var gone error
	for _, passed := range slot.Passed {
		if exit := exitOf(instances, Instance{ID: passed.ID, Incarnation: passed.Incarnation}); exit != nil {
			gone = fmt.Errorf("replica %s passed the health check and is gone: %w", passed.ID, exit)
		} else {
			alive++
		}
	}
	size := slot.Release.size(instances)
	if slot.Release.Autoscaled {
		// Those that came since are nobody's evidence.
		size = min(size, len(slot.Passed))
	}
	if alive < required(size, s.Config.MinHealthyPercent) {
		return gone
	}
	return nil
}

// putBack commits what revert makes of the ledger, because of cause. What has gone
// meanwhile, or could not take the traffic, is nothing to put it back to.
func (s *session) putBack(ctx context.Context, revert func(reason string) (Ledger, error), cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if former := s.ledger.Staging(); s.ledger.Slot(former).Release != nil {
		if err := s.alive(ctx, former); err != nil {
			return fmt.Errorf("the traffic did not follow: %w; it cannot be put back to %s: %w", cause, former, err)
		}
	}
	s.progress("the traffic did not follow, putting it back")
	next, err := revert("the traffic did not follow: " + cause.Error())
	if err == nil {
		err = s.commit(ctx, next)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("the traffic did not follow: %w", cause), fmt.Errorf("putting it back: %w", err))
	}
	return fmt.Errorf("the traffic did not follow and is back where it was: %w", cause)
}

// watch looks after live for the bake time. When too few instances stay healthy
// the release before it comes back.
func (s *session) watch(ctx context.Context) error {
	if s.Config.BakeTime > 0 {
		s.progress("watching %s for %s", s.ledger.Live, s.Config.BakeTime)
		failing, err := s.bake(ctx)
		if err != nil {
			return s.failure("watch", s.ledger.Live, err)
		}
		if failing != nil {
			return s.fallBack(ctx, failing)
		}
	}
	return s.failure("watch", s.ledger.Live, s.commit(ctx, s.ledger.watched().settled()))
}

// bake probes live until the bake time is over. It returns what is wrong with
// live, or an error when it could not watch to the end.
func (s *session) bake(ctx context.Context) (*UnhealthyError, error) {
	end := time.Now().Add(s.Config.BakeTime)
	for strikes := 0; ; {
		pause := s.Config.ProbeInterval
		if left := time.Until(end); left > 0 {
			pause = min(pause, left)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("interrupted: %w; live was healthy as far as it was watched", ctx.Err())
		case <-time.After(pause):
		}
		found, err := s.probeLive(ctx)
		switch {
		case ctx.Err() != nil:
			continue
		case err != nil:
			return nil, err
		case found.result(0).Healthy:
			strikes = 0
		default:
			strikes++
		}
		if strikes >= max(s.Config.HealthCheckRetries, 1) {
			unhealthy := found.unhealthy()
			_ = s.withLogs(ctx, unhealthy)
			return unhealthy, nil
		}
		if strikes == 0 && !time.Now().Before(end) {
			return nil, nil
		}
	}
}

// probeLive probes every instance of live once. Those that an autoscaler has added
// count from when the platform holds them ready, and lets traffic in.
func (s *session) probeLive(ctx context.Context) (finding, error) {
	env := s.ledger.Live
	instances, err := s.Platform.Instances(ctx, env)
	if err != nil {
		return finding{}, err
	}
	slot := s.ledger.Slot(env)
	if slot.Release.Autoscaled {
		instances = slices.DeleteFunc(instances, func(i Instance) bool {
			// A place that has passed is the same after a restart.
			passed := slices.ContainsFunc(slot.Passed, func(ref InstanceRef) bool { return ref.ID == i.ID })
			return i.Unready != "" && !passed
		})
	}
	size := slot.Release.size(instances)
	f := finding{size: max(size, len(instances)), required: required(size, s.Config.MinHealthyPercent), outcomes: make([]outcome, len(instances))}
	done := make(chan struct{})
	for i, instance := range instances {
		go func() {
			t := &target{platform: s.Platform, env: env, instance: instance}
			f.outcomes[i] = outcome{instance: instance, verdict: s.probe(ctx, t)}
			done <- struct{}{}
		}()
	}
	for range instances {
		<-done
	}
	return f, nil
}

// fallBack ends a watch that found live unhealthy: automatic rollback.
func (s *session) fallBack(ctx context.Context, failing *UnhealthyError) error {
	env, version := s.ledger.Live, s.ledger.Slot(s.ledger.Live).Release.Version
	// An interrupt must not keep an unhealthy release live.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if err := s.rollbackTo(ctx, "automatic: "+failing.Error()); err != nil {
		return s.failure("watch", env, fmt.Errorf("%w; %s stays live: %w", failing, version, err))
	}
	back := s.ledger.Slot(s.ledger.Live).Release.Version
	following, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.Config.SwitchTimeout)
	defer cancel()
	if err := s.Platform.AwaitTraffic(following, s.ledger.Live); err != nil {
		return s.failure("watch", env, fmt.Errorf("%w; traffic was led back to %s and has not arrived there: %w", failing, back, err))
	}
	return s.failure("watch", env, fmt.Errorf("%w; traffic is back on %s", failing, back))
}
