// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// session is one operation on a deployment: the lock is held.
type session struct {
	*Deployer
	// ledger is what was last loaded or committed.
	ledger Ledger
	// warnings are trouble that live does not suffer from.
	warnings []error
}

// locked runs operate with the deployment's lock and its ledger, after clearing
// away what a holder that died left behind.
func (d *Deployer) locked(ctx context.Context, operation string, operate func(*session) error) error {
	return d.opened(ctx, operation, func(s *session) error {
		if err := s.recover(ctx); err != nil {
			return err
		}
		return operate(s)
	})
}

// opened runs operate with the deployment's lock and its ledger as it is.
func (d *Deployer) opened(ctx context.Context, operation string, operate func(*session) error) error {
	unlock, err := d.Platform.Lock(ctx, d.Actor)
	if err != nil {
		return d.lockError(ctx, operation, err)
	}
	defer unlock()
	ledger, err := d.Platform.Load(ctx)
	if err != nil {
		return err
	}
	return operate(&session{Deployer: d, ledger: ledger})
}

func (d *Deployer) lockError(ctx context.Context, operation string, err error) error {
	var held *HolderError
	if !errors.As(err, &held) {
		return fmt.Errorf("locking the deployment: %w", err)
	}
	env := NewLedger(d.Deployment).Staging()
	if ledger, err := d.Platform.Load(ctx); err == nil {
		env = ledger.Staging()
	}
	return &Error{EnvironmentBusy, operation, env, err}
}

// recover finishes what a process that died in the middle began: a release that
// nobody deploys any more has failed, and what runs in an environment that holds
// nothing goes.
func (s *session) recover(ctx context.Context) error {
	env := s.ledger.Staging()
	if s.ledger.Slot(env).State == Deploying {
		if err := s.commit(ctx, s.ledger.interrupted()); err != nil {
			return fmt.Errorf("closing an interrupted deploy: %w", err)
		}
	}
	if s.ledger.Destroying || s.ledger.Slot(env).wantsInstances() {
		return nil
	}
	instances, err := s.Platform.Instances(ctx, env)
	if err == nil && len(instances) > 0 {
		err = s.Platform.Remove(ctx, env)
	}
	if err != nil {
		return fmt.Errorf("removing what an interrupted operation left in %s: %w", env, err)
	}
	return nil
}

// renew ends a destruction that was begun, and starts the deployment afresh.
func (s *session) renew(ctx context.Context) error {
	if err := s.destroy(ctx); err != nil {
		return err
	}
	s.ledger = NewLedger(s.Deployment)
	return s.commit(ctx, s.ledger)
}

// commit writes next and makes it the session's ledger. A commit whose answer is
// lost is looked up: it is an error only if it did not happen, or if that cannot
// be found out.
func (s *session) commit(ctx context.Context, next Ledger) error {
	next.Generation = s.ledger.Generation + 1
	next.HistoryLimit = s.Config.HistoryLimit
	if s.Mask != nil {
		next = next.masked(s.Mask)
	}
	next, closed := next.archive()
	if err := next.Validate(); err != nil {
		return fmt.Errorf("refusing to commit an impossible ledger: %w", err)
	}
	if err := s.Platform.Commit(ctx, next, closed); err != nil {
		if !s.happened(ctx, next) {
			return fmt.Errorf("writing the ledger: %w", err)
		}
		s.progress("the ledger is written, but maybe not all that follows from it: %v", err)
	}
	s.ledger = next
	return nil
}

func (s *session) happened(ctx context.Context, next Ledger) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	stored, err := s.Platform.Load(ctx)
	if err != nil {
		return false
	}
	for _, env := range Environments() {
		if release := stored.Slot(env).Release; release != nil {
			next = next.WithSize(env, release.Replicas)
		}
	}
	// A ledger is plain data: both sides always encode.
	a, _ := json.Marshal(stored)
	b, _ := json.Marshal(next)
	return bytes.Equal(a, b)
}

func (s *session) stamp() stamp { return stamp{at: s.Now().UTC(), actor: s.Actor} }

func (s *session) progress(format string, args ...any) {
	if s.Progress != nil {
		s.Progress(fmt.Sprintf(format, args...))
	}
}
