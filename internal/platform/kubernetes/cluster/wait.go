// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"time"
)

// Pause waits for d. It returns an error if ctx ends before.
func Pause(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return waitError(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return waitError(ctx)
	}
}

// stoppedError is the error of a context that ended a wait, in words for users.
type stoppedError struct{ err error }

// waitError returns an error if ctx has ended, and nil otherwise.
func waitError(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return &stoppedError{err}
	}
	return nil
}

func (e *stoppedError) Error() string {
	if errors.Is(e.err, context.DeadlineExceeded) {
		return "the time ran out"
	}
	return "interrupted"
}

// Unwrap makes the context's error visible to errors.Is.
func (e *stoppedError) Unwrap() error { return e.err }
