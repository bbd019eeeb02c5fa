// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
)

// deployAndSwitch is the whole of a release.
func (s *session) deployAndSwitch(ctx context.Context, release Release) error {
	if err := s.preview(ctx, release); err != nil {
		return err
	}
	return s.bringLive(ctx)
}

// preview brings a release to staging and proves it healthy there.
func (s *session) preview(ctx context.Context, release Release) error {
	if err := s.deploy(ctx, release); err != nil {
		return err
	}
	_, err := s.check(ctx)
	return s.undoOnError(ctx, err)
}

// promote brings a preview live. It may have waited for long: it is checked again.
func (s *session) promote(ctx context.Context) error {
	if _, err := s.check(ctx); err != nil {
		return s.undoOnError(ctx, err)
	}
	return s.bringLive(ctx)
}

// bringLive moves traffic to staging, which is proven healthy, and watches it there.
func (s *session) bringLive(ctx context.Context) error {
	if err := s.switchTraffic(ctx); err != nil {
		return s.undoOnError(ctx, err)
	}
	return s.watch(ctx)
}

// deploy starts release in staging. Nothing but staging is touched.
func (s *session) deploy(ctx context.Context, release Release) error {
	env := s.ledger.Staging()
	former := s.ledger.Slot(env)
	release = s.ledger.sizeForDeploy(release)
	next, err := s.ledger.beginDeploy(release, s.stamp())
	if err != nil {
		return err
	}
	if err := s.commit(ctx, next); err != nil {
		return s.failure("deploy", env, err)
	}
	s.progress("deploying %s to %s, replicas: %d", release.Version, env, release.Replicas)
	return s.undoOnError(ctx, s.failure("deploy", env, s.provision(ctx, former, release)))
}

// provision starts release in staging, in the place of what was there.
func (s *session) provision(ctx context.Context, former Slot, release Release) error {
	env := s.ledger.Staging()
	if former.Release != nil && !s.ledger.Slot(env).HasRelease(former.Release.Fingerprint) {
		// What the last switch left in flight here must end before its instances do.
		if err := s.Platform.Drain(ctx, env); err != nil {
			return err
		}
	}
	digest, err := s.Platform.Provision(ctx, env, release)
	if err != nil {
		return err
	}
	next, err := s.ledger.deployed(digest)
	if err != nil {
		return err
	}
	return s.commit(ctx, next)
}

// undoOnError gives the release in staging up when err is not nil: its record
// says why, and its instances go. Live is not touched.
func (s *session) undoOnError(ctx context.Context, err error) error {
	env := s.ledger.Staging()
	state := s.ledger.Slot(env).State
	if err == nil || errors.Is(err, InvalidState) || (state != Deploying && state != Ready && state != Failed) {
		return err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if cleanupErr := s.giveUp(ctx, env, err); cleanupErr != nil {
		return errors.Join(err, fmt.Errorf("cleaning %s up: %w; the next run does it", env, cleanupErr))
	}
	return err
}

func (s *session) giveUp(ctx context.Context, env Environment, cause error) error {
	s.progress("giving %s up", env)
	if s.ledger.Slot(env).State != Failed {
		next, err := s.ledger.failed(reasonOf(cause))
		if err != nil {
			return err
		}
		if err := s.commit(ctx, next); err != nil {
			return err
		}
	}
	if err := s.Platform.Drain(ctx, env); err != nil {
		return err
	}
	return s.Platform.Remove(ctx, env)
}

// reasonOf is the one line that a record keeps of an error.
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

// failure makes err, if there is one, the failure of an operation.
func (s *session) failure(operation string, env Environment, err error) error {
	if err == nil {
		return nil
	}
	kind := DeployFailed
	switch operation {
	case "health check", "watch":
		kind = HealthCheckFailed
	case "switch":
		kind = SwitchFailed
	case "rollback":
		kind = RollbackFailed
	}
	switch {
	case errors.Is(err, context.Canceled):
		kind = Interrupted
	case errors.Is(err, context.DeadlineExceeded):
		kind = Timeout
	}
	return &Error{kind, operation, env, err}
}
