// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
)

// executor carries out one operation while it holds the deployment's lock.
type executor struct {
	*Deployer
	// ledger is the one that was loaded or committed last.
	ledger Ledger
	// warnings are problems that do not affect what live serves.
	warnings []error
}

// withRecovery runs operate as withLock does, after it has cleaned up what an
// interrupted operation left behind.
func (d *Deployer) withRecovery(ctx context.Context, operation string, operate func(*executor) error) error {
	return d.withLock(ctx, operation, func(e *executor) error {
		if err := e.recoverInterrupted(ctx); err != nil {
			return err
		}
		return operate(e)
	})
}

// withLock runs operate with the deployment's lock held and its ledger loaded.
func (d *Deployer) withLock(ctx context.Context, operation string, operate func(*executor) error) error {
	unlock, err := d.lock(ctx, operation)
	if err != nil {
		return err
	}
	defer unlock()
	ledger, err := d.Platform.Load(ctx)
	if err != nil {
		return err
	}
	return operate(&executor{Deployer: d, ledger: d.withKey(ledger)})
}

// lock takes the deployment's lock. If another process holds it, the error is
// EnvironmentBusy and names the environment that operation needs.
func (d *Deployer) lock(ctx context.Context, operation string) (unlock func(), err error) {
	unlock, err = d.Platform.Lock(ctx, d.Actor)
	if err == nil {
		return unlock, nil
	}
	var locked *LockedError
	if !errors.As(err, &locked) {
		return nil, fmt.Errorf("locking the deployment: %w", err)
	}
	env := NewLedger(d.Deployment).Staging()
	if ledger, err := d.Platform.Load(ctx); err == nil {
		env = ledger.Staging()
	}
	return nil, &Error{EnvironmentBusy, operation, env, err}
}

// commit writes next and makes it the executor's ledger. When Commit returns an
// error, the stored ledger decides: if it is next, only the answer
// was lost, and commit succeeds.
func (e *executor) commit(ctx context.Context, next Ledger) error {
	next.Schema = SchemaVersion
	next.Generation = e.ledger.Generation + 1
	next.HistoryLimit = e.Config.HistoryLimit
	next = next.clean(e.Mask)
	next, closed := next.archive()
	if err := next.Validate(); err != nil {
		return fmt.Errorf("the ledger was not written, because it would be invalid: %w", err)
	}
	if err := e.Platform.Commit(ctx, next, closed); err != nil {
		if !e.isCommitted(ctx, next) {
			return &commitError{err: err, isLastOfCreate: next.Created && !e.ledger.Created}
		}
		e.progress("the ledger is written, but the platform returned an error: %v", err)
	}
	e.ledger = next
	e.UseKey(next.Key)
	return nil
}

// commitError is a ledger that was not written, or whose platform did not say that it was.
type commitError struct {
	err error
	// isLastOfCreate is set if the deployment is complete with this ledger.
	isLastOfCreate bool
}

func (e *commitError) Error() string { return "writing the ledger: " + e.err.Error() }

func (e *commitError) Unwrap() error { return e.err }

func (e *commitError) Is(target error) bool {
	return e.isLastOfCreate && target == ErrCreateUnconfirmed
}

// isOnlyUnwritten reports whether an operation failed because the ledger was not written, and
// not because the release is unhealthy.
func isOnlyUnwritten(err error) bool {
	_, isUnwritten := errors.AsType[*commitError](err)
	_, isUnhealthy := errors.AsType[*UnhealthyError](err)
	return isUnwritten && !isUnhealthy
}

// isCommitted reports whether the stored ledger is next. The size of an
// autoscaled release may have changed meanwhile and is not compared.
func (e *executor) isCommitted(ctx context.Context, next Ledger) bool {
	ctx, cancel := e.cleanupContext(ctx)
	defer cancel()
	stored, err := e.Platform.Load(ctx)
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

// stamp returns who makes a transition, when, and what asked for it.
func (e *executor) stamp(origin Origin) stamp {
	return stamp{at: e.Now().UTC(), actor: e.Actor, origin: origin}
}

// progress reports the start of a phase.
func (e *executor) progress(format string, args ...any) {
	if e.Progress != nil {
		e.Progress(fmt.Sprintf(format, args...))
	}
}

// operationError makes err the Error of an operation. It returns nil for nil.
func operationError(phase string, env Environment, err error) error {
	if err == nil {
		return nil
	}
	kind := DeployFailed
	switch phase {
	case "health check", "watch":
		kind = HealthCheckFailed
	case "switch":
		kind = SwitchFailed
	case "rollback":
		kind = RollbackFailed
	}
	switch {
	case (kind == HealthCheckFailed || kind == DeployFailed) && errors.Is(err, ErrCouldNotAsk):
		kind = PlatformUnavailable
	case kind == HealthCheckFailed && isFailedCutWatch(err):
	case errors.Is(err, context.Canceled):
		kind = Interrupted
	case errors.Is(err, context.DeadlineExceeded):
		kind = Timeout
	case kind == HealthCheckFailed && isOnlyUnwritten(err):
		kind = PlatformUnavailable
	}
	return &Error{kind, phase, env, err}
}
