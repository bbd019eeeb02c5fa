// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
)

// scale sets the size of live and standby. New replicas of live get traffic once
// they are proven healthy; if they are not, the former size comes back.
func (s *session) scale(ctx context.Context, replicas int) error {
	env := s.ledger.Live
	next, err := s.ledger.scaled(replicas, false)
	if err != nil {
		return err
	}
	before := *s.ledger.Slot(env).Release
	former := before.Replicas
	s.progress("scaling from %d to %d replicas", former, replicas)
	if err := s.commit(ctx, next); err != nil {
		return s.failure("scale", env, err)
	}
	err = s.resize(ctx, nil)
	if err == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	s.progress("scaling back to %d replicas", former)
	back, undoErr := s.ledger.scaled(former, before.Autoscaled)
	if undoErr == nil {
		undoErr = s.commit(ctx, back)
	}
	for _, env := range Environments() {
		if undoErr == nil && s.ledger.Slot(env).wantsInstances() {
			undoErr = s.Platform.Scale(ctx, env, former)
		}
	}
	if undoErr != nil {
		err = errors.Join(err, fmt.Errorf("scaling back: %w; the next run does it", undoErr))
	}
	return s.failure("scale", env, err)
}

// letScale leaves the size of live and standby to others.
func (s *session) letScale(ctx context.Context) error {
	next, err := s.ledger.scaled(0, true)
	if err != nil {
		return err
	}
	s.progress("leaving the number of replicas to others")
	return s.failure("scale", s.ledger.Live, s.commit(ctx, next))
}

// resize makes live and standby run at the size that the ledger says, and admits
// the replicas of live that prove healthy. A live environment of which nothing is
// left is provisioned again if whole is its release, environment variables and all.
func (s *session) resize(ctx context.Context, whole *Release) error {
	live := s.ledger.Live
	slot := s.ledger.Slot(live)
	err := s.Platform.Scale(ctx, live, slot.Release.Replicas)
	if errors.Is(err, ErrNotProvisioned) && whole != nil && slot.HasRelease(whole.Seal().Fingerprint) {
		again := *whole
		again.Replicas, again.Autoscaled = slot.Release.Replicas, slot.Release.Autoscaled
		_, err = s.Platform.Provision(ctx, live, again)
	}
	if err != nil {
		return err
	}
	result, err := s.prove(ctx, live)
	if err != nil {
		return err
	}
	if err := s.commit(ctx, s.ledger.admitted(live, result.Instances)); err != nil {
		return err
	}
	return s.resizeStaging(ctx)
}

// resizeStaging makes what belongs in staging run. It is not checked: a standby
// has served before, maybe with another health check, and a preview is checked
// when it is promoted. One of which nothing is left is given up. What a standby
// cannot do is a warning: live does not wait for it.
func (s *session) resizeStaging(ctx context.Context) error {
	env := s.ledger.Staging()
	slot := s.ledger.Slot(env)
	if !slot.wantsInstances() {
		return nil
	}
	instances, err := s.resizedStaging(ctx, env, slot.Release.Replicas)
	if errors.Is(err, ErrNotProvisioned) {
		s.progress("giving %s up: somebody removed what stood by", env)
		next, err := s.ledger.cleaned()
		if err != nil {
			return err
		}
		return s.commit(ctx, next)
	}
	if err != nil && slot.State == Idle && ctx.Err() == nil {
		s.warnings = append(s.warnings, s.failure("scale", env, err))
		return nil
	}
	if err != nil {
		return err
	}
	var refs []InstanceRef
	for _, instance := range runningOf(instances) {
		refs = append(refs, instance.Ref())
	}
	return s.commit(ctx, s.ledger.admitted(env, refs))
}

func (s *session) resizedStaging(ctx context.Context, env Environment, replicas int) ([]Instance, error) {
	if err := s.Platform.Scale(ctx, env, replicas); err != nil {
		return nil, err
	}
	return s.Platform.Instances(ctx, env)
}

// repair starts what should run and does not, and leads the traffic there. What
// should not run has gone when the session began.
func (s *session) repair(ctx context.Context, release Release) error {
	s.progress("repairing: starting what should run")
	env := s.ledger.Staging()
	previewed := s.ledger.Slot(env).State == Ready && s.ledger.Slot(env).HasRelease(release.Seal().Fingerprint)
	if s.ledger.IsServing() {
		if err := s.reconnect(ctx, release); err != nil {
			return s.failure("repair", s.ledger.Live, err)
		}
	} else if err := s.resizeStaging(ctx); err != nil {
		return s.failure("repair", env, err)
	}
	if previewed && s.ledger.Slot(env).Release == nil {
		// Nothing was left of it, and it is what is configured.
		return s.preview(ctx, release)
	}
	return nil
}

// reconnect makes live whole, and returns when it has the traffic.
func (s *session) reconnect(ctx context.Context, release Release) error {
	if err := s.resize(ctx, &release); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.Config.SwitchTimeout)
	defer cancel()
	return s.Platform.AwaitTraffic(ctx, s.ledger.Live)
}

// removeStandby empties the environment that has no traffic.
func (s *session) removeStandby(ctx context.Context) error {
	env := s.ledger.Staging()
	next, err := s.ledger.cleaned()
	if err != nil {
		return err
	}
	s.progress("draining and removing what is left in %s", env)
	if err := s.Platform.Drain(ctx, env); err != nil {
		return s.failure("cleanup", env, err)
	}
	// Were the instances gone before the ledger says so, a rollback would count on them.
	if err := s.commit(ctx, next); err != nil {
		return s.failure("cleanup", env, err)
	}
	return s.failure("cleanup", env, s.Platform.Remove(ctx, env))
}

// destroy removes everything: first the traffic, then what is in flight, then
// the instances, the ledger last.
func (s *session) destroy(ctx context.Context) error {
	if !s.ledger.Destroying {
		s.progress("destroying: no traffic from now on")
		if err := s.commit(ctx, s.ledger.destroying()); err != nil {
			return s.failure("destroy", s.ledger.Live, err)
		}
	}
	for _, env := range Environments() {
		if err := s.Platform.Drain(ctx, env); err != nil {
			return s.failure("destroy", env, err)
		}
		if err := s.Platform.Remove(ctx, env); err != nil {
			return s.failure("destroy", env, err)
		}
	}
	return s.failure("destroy", s.ledger.Live, s.Platform.Erase(ctx))
}
