// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"errors"
	"fmt"
)

// Kind is what went wrong, for errors.Is: errors.Is(err, bluegreen.SwitchFailed).
type Kind string

// The kinds of failure of an operation. None of them touched what the live
// environment serves.
const (
	// EnvironmentBusy: another operation that is still alive holds the deployment.
	EnvironmentBusy Kind = "EnvironmentBusy"
	// DeployFailed: the platform could not start the release.
	DeployFailed Kind = "DeployFailed"
	// HealthCheckFailed: too few instances of the release became or stayed healthy.
	HealthCheckFailed Kind = "HealthCheckFailed"
	// SwitchFailed: traffic is where it was before.
	SwitchFailed Kind = "SwitchFailed"
	// RollbackFailed: there is nothing (alive) to go back to; nothing changed.
	RollbackFailed Kind = "RollbackFailed"
	// InvalidState: the deployment is in no state in which the operation makes sense.
	InvalidState Kind = "InvalidState"
	// Interrupted: the operation was asked to stop, and did at the next safe point.
	Interrupted Kind = "Interrupted"
	// Timeout: the operation did not end in the time it was given.
	Timeout Kind = "Timeout"
)

func (k Kind) Error() string { return string(k) }

// Error is how an operation of the engine fails. It matches its Kind and its
// Cause with errors.Is and errors.As.
type Error struct {
	Kind Kind
	// Operation names the step that failed: "deploy", "switch".
	Operation string
	// Environment is where it failed. It is the live one only for a rollback
	// and a watch.
	Environment Environment
	// Cause is the last thing observed.
	Cause error
}

func (e *Error) Error() string {
	return fmt.Sprintf("%s of %s: %s: %v", e.Operation, e.Environment, e.Kind, e.Cause)
}

// Unwrap makes both the kind and the cause visible to errors.Is and errors.As.
func (e *Error) Unwrap() []error { return []error{e.Kind, e.Cause} }

// Errors that a Platform returns.
var (
	// ErrNotFound: there is no deployment of this name.
	ErrNotFound = errors.New("no such deployment")
	// ErrStale: the ledger has changed since it was loaded.
	ErrStale = errors.New("the ledger has changed meanwhile")
	// ErrNotProvisioned: nothing was provisioned in an environment, or somebody
	// removed it.
	ErrNotProvisioned = errors.New("nothing was provisioned there")
)

// HolderError is returned for a lock that somebody else holds.
type HolderError struct{ Holder Holder }

func (e *HolderError) Error() string {
	return fmt.Sprintf("%s is at work on this deployment since %s", e.Holder.Name, e.Holder.Since.UTC().Format("2006-01-02 15:04:05 MST"))
}

// Errors that Ledger.Next returns for what a configuration asks.
var (
	// ErrNothingToRollBackTo: no release that live replaced is standing by.
	ErrNothingToRollBackTo = errors.New("there is nothing to roll back to")
	// ErrRollbackOfNewRelease: the release to roll back from is not the live one.
	ErrRollbackOfNewRelease = errors.New("a release that is not live cannot be rolled back")
)
