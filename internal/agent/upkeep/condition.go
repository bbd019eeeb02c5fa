// SPDX-License-Identifier: MPL-2.0

package upkeep

import "time"

// Thresholds say how many results in a row change the condition of a replica.
type Thresholds struct {
	// Unhealthy is how many failed probes, or failed requests, make a replica unhealthy.
	Unhealthy int
	// Healthy is how many passed probes make it healthy again.
	Healthy int
}

// condition is what is known of one run of a replica. The zero condition is that of a
// run that has not been probed.
type condition struct {
	// failures and passes count the last probes, those with the same result in a row.
	failures, passes int
	// hasPassed is set once a probe, or the health check of a deploy, has passed.
	hasPassed   bool
	isUnhealthy bool
	// cause is the last failure while the replica is unhealthy.
	cause string
	// since is when the replica became unhealthy, or was last started again for that.
	since time.Time
}

// pass records a passed probe, and reports whether the replica is healthy again.
func (c *condition) pass(t Thresholds) (changed bool) {
	c.hasPassed, c.failures = true, 0
	c.passes++
	if !c.isUnhealthy || c.passes < t.Healthy {
		return false
	}
	c.isUnhealthy, c.cause = false, ""
	return true
}

// fail records a failed probe, and reports whether it makes the replica unhealthy.
func (c *condition) fail(t Thresholds, cause string, now time.Time) (changed bool) {
	c.failures++
	return c.judge(c.failures >= t.Unhealthy || !c.hasPassed, cause, now)
}

// failRequests records that a request has failed, the last of inARow, and reports
// whether that makes the replica unhealthy.
func (c *condition) failRequests(t Thresholds, inARow int, cause string, now time.Time) (changed bool) {
	return c.judge(inARow >= t.Unhealthy, cause, now)
}

// judge follows a failure. isEnough says whether it is enough to be unhealthy.
func (c *condition) judge(isEnough bool, cause string, now time.Time) (changed bool) {
	c.passes = 0
	switch {
	case c.isUnhealthy:
		c.cause = cause
		return false
	case !isEnough:
		return false
	}
	c.isUnhealthy, c.cause, c.since = true, cause, now
	return true
}

// isOverdue reports whether the replica has been unhealthy for at least after. An after of
// 0 means never.
func (c *condition) isOverdue(after time.Duration, now time.Time) bool {
	return after > 0 && c.isUnhealthy && now.Sub(c.since) >= after
}
