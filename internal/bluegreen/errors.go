// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the kind of an Error. Use it with errors.Is: errors.Is(err, bluegreen.SwitchFailed).
type Kind string

// The kinds of an operation's failure. The error says what serves if that is not what
// served before.
const (
	// EnvironmentBusy: another operation that still runs holds the deployment's lock.
	EnvironmentBusy Kind = "EnvironmentBusy"
	// DeployFailed: the platform could not start the release.
	DeployFailed Kind = "DeployFailed"
	// HealthCheckFailed: too few instances of the release became or stayed healthy.
	HealthCheckFailed Kind = "HealthCheckFailed"
	// SwitchFailed: the release could not be made live. Traffic is where it was before,
	// unless it could not be put back.
	SwitchFailed Kind = "SwitchFailed"
	// RollbackFailed: there is no standby, or it cannot take the traffic; nothing changed.
	RollbackFailed Kind = "RollbackFailed"
	// InvalidState: the operation is not possible in the state of the deployment.
	InvalidState Kind = "InvalidState"
	// PlatformUnavailable: the platform did not say whether the release is healthy, or did
	// not record it. That says nothing about the release.
	PlatformUnavailable Kind = "PlatformUnavailable"
	// Interrupted: the operation was asked to stop and has stopped at a safe point.
	Interrupted Kind = "Interrupted"
	// Timeout: the operation did not end in time.
	Timeout Kind = "Timeout"
)

func (k Kind) Error() string { return string(k) }

// Error is the error of an operation that failed. With errors.Is and errors.As it
// matches its Kind and its Cause.
type Error struct {
	Kind Kind
	// Phase names the phase that failed, such as "switch", or the operation that found
	// the deployment locked.
	Phase string
	// Environment is the one in which the operation failed.
	Environment Environment
	// Cause is what was observed last.
	Cause error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s of %s: %s: %v", e.Phase, e.Environment, e.Kind, e.Cause)
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }

// invalidState returns the error of an operation that the ledger does not allow.
func invalidState(phase string, env Environment, format string, args ...any) error {
	return &Error{InvalidState, phase, env, fmt.Errorf(format, args...)}
}

// Errors that a Platform returns.
var (
	// ErrNotFound says that there is no deployment of this name.
	ErrNotFound = errors.New("no such deployment")
	// ErrStale says that the ledger has changed since it was loaded. Nothing was written.
	ErrStale = errors.New("the ledger has changed since it was loaded")
	// ErrCouldNotAsk says that the platform could not ask an instance: its API, its
	// node or the tunnel to it did not work. Dial, Exec and Readiness wrap it. A probe
	// that fails because of it says nothing about the instance.
	ErrCouldNotAsk = errors.New("the platform did not answer")
	// ErrNotProvisioned says that nothing was provisioned in an environment, or that
	// it was removed by hand.
	ErrNotProvisioned = errors.New("nothing was provisioned there")
	// ErrNoSpace says that something could not be written because the platform's disk is full.
	ErrNoSpace = errors.New("no space left on the disk")
)

// LockedError says who holds the lock that an operation needs.
type LockedError struct{ Holder Holder }

func (e *LockedError) Error() string {
	since := e.Holder.Since.UTC().Format("2006-01-02 15:04:05 MST")
	return fmt.Sprintf("the deployment is locked by %s since %s", e.Holder.Name, since)
}

// RolledBackError says that a release was taken out of service by a watch or an operator, and
// is not deployed again automatically.
type RolledBackError struct {
	// Record is the ID of the record of the release.
	Record string
	// Rollback is the record of the rollback that took it out of service.
	Rollback Record
}

func (e *RolledBackError) Error() string {
	by := "the watch after its switch"
	if e.Rollback.Origin == FromOperator {
		by = e.Rollback.Actor
	}
	return fmt.Sprintf("the release of %s was rolled back at %s by %s: %s", e.Record,
		e.Rollback.DeployedAt.UTC().Format(time.RFC3339), by, e.Rollback.Reason)
}

// Errors that Ledger.Next returns for a rollback that is not possible.
var (
	// ErrNothingToRollBackTo says that no release that live replaced is standing by.
	ErrNothingToRollBackTo = errors.New("there is nothing to roll back to")
	// ErrRollbackOfNewRelease says that the release to roll back from is not the live one.
	ErrRollbackOfNewRelease = errors.New("a release that is not live cannot be rolled back")
)
