// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"errors"
	"fmt"
	"time"
)

// watchEnd is why a watch ended.
type watchEnd string

const (
	// watchPassed: the bake time is over, and the last probe passed.
	watchPassed watchEnd = "passed"
	// watchFoundUnhealthy: too many probes in a row failed, or there were too many restarts.
	watchFoundUnhealthy watchEnd = "found live unhealthy"
	// watchInterrupted: the context ended before the bake time did.
	watchInterrupted watchEnd = "interrupted"
	// watchCouldNotProbe: the platform did not answer for too long.
	watchCouldNotProbe watchEnd = "could not probe live"
)

// watchResult is what a watch saw.
type watchResult struct {
	end watchEnd
	// probes counts the probes that had a result. Each covers all instances of live.
	probes int
	// failed counts those that failed, and failedInARow those of them in a row at the end.
	failed, failedInARow int
	// restarts counts the restarts of instances.
	restarts int
	// last is what the last probe with a result found. It is empty if there was none.
	last finding
	// unaskedSince is when the platform stopped answering; zero while it answers.
	unaskedSince time.Time
	// cause is what interrupted the watch or kept it from probing, otherwise nil.
	cause error
}

// withProbe returns the result with one more probe.
func (r watchResult) withProbe(found finding) watchResult {
	r.probes++
	r.unaskedSince = time.Time{}
	r.last = found
	for _, o := range found.outcomes {
		if errors.Is(o.exit, errRestarted) {
			r.restarts++
		}
	}
	if found.isHealthy() {
		r.failedInARow = 0
		return r
	}
	r.failed++
	r.failedInARow++
	return r
}

// withReadinessOnly returns the result with one more probe, in which only the platform's
// own judgement counted. unaskedSince stays, because the instances have still not been
// probed: the next judgement counts at once, not after another HealthCheckTimeout.
func (r watchResult) withReadinessOnly(found finding) watchResult {
	unaskedSince := r.unaskedSince
	r = r.withProbe(found)
	r.unaskedSince = unaskedSince
	return r
}

// withoutAnswer returns the result after a probe that had no result because of cause.
func (r watchResult) withoutAnswer(cause error, at time.Time) watchResult {
	if r.unaskedSince.IsZero() {
		r.unaskedSince = at
	}
	r.cause = cause
	return r
}

// withEnd returns the result of a watch that ended so. cause is nil unless
// something kept it from going on.
func (r watchResult) withEnd(end watchEnd, cause error) watchResult {
	r.end, r.cause = end, cause
	return r
}

// err returns why live was not watched to the end, or nil if it was.
func (r watchResult) err() error {
	switch r.end {
	case watchInterrupted:
		return &CutWatchError{
			Probes: r.probes, Failed: r.failed, FailedInARow: r.failedInARow,
			last: r.last, cause: r.cause,
		}
	case watchCouldNotProbe:
		return fmt.Errorf("%w for too long", r.cause)
	default:
		return nil
	}
}

// CutWatchError says what a watch had seen when an interrupt or the end of its time cut
// it short. The release stays live, and the next apply watches it again.
type CutWatchError struct {
	// Probes counts the probes of live, Failed those that failed, and FailedInARow those
	// that failed in a row at the end.
	Probes, Failed, FailedInARow int

	last  finding
	cause error
}

func (e *CutWatchError) Error() string {
	switch {
	case e.Probes == 0:
		return fmt.Sprintf("%v before live was probed", e.cause)
	case e.Failed == 0:
		return fmt.Sprintf("%v; live passed each of %d probes", e.cause, e.Probes)
	case e.FailedInARow == 0:
		return fmt.Sprintf("%v; %d of %d probes of live failed, the last one passed", e.cause, e.Failed, e.Probes)
	default:
		return fmt.Sprintf("%v; the last %d of %d probes of live failed: %v",
			e.cause, e.FailedInARow, e.Probes, e.last.unhealthyError())
	}
}

// Unwrap returns why the watch was cut short.
func (e *CutWatchError) Unwrap() error { return e.cause }

// isFailedCutWatch reports whether err is a watch that was cut short while live failed
// its probes.
func isFailedCutWatch(err error) bool {
	var cut *CutWatchError
	return errors.As(err, &cut) && cut.FailedInARow > 0
}
