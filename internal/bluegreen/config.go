// SPDX-License-Identifier: MPL-2.0

package bluegreen

import "time"

// Config says what a Deployer demands of a release and how long it waits.
type Config struct {
	// HealthCheckTimeout is the longest time that one attempt of a health check takes.
	HealthCheckTimeout time.Duration
	// HealthCheckRetries is how many more attempts follow a failed one.
	HealthCheckRetries int
	// UnhealthyThreshold is how many probes in a row must fail, or how many restarts
	// there must be, until the watch after a switch finds live unhealthy; at least 1.
	UnhealthyThreshold int
	// MinHealthyPercent of the instances must be healthy, in 1..100, rounded up.
	MinHealthyPercent int
	// SwitchTimeout is the longest time from the start of a switch until traffic
	// reaches the new environment.
	SwitchTimeout time.Duration
	// DrainTimeout is how long the platform lets requests and connections to an
	// environment finish that has lost the traffic.
	DrainTimeout time.Duration
	// StopTimeout is how long the platform lets an instance end that it has asked to.
	// The cleaning up after an operation that failed may take DrainTimeout, StopTimeout
	// and one minute.
	StopTimeout time.Duration
	// RollbackCheck has every instance of the standby probed before a rollback, and requires
	// that the platform holds it ready. If it is false, a standby that runs is enough.
	RollbackCheck bool
	// BakeTime is how long live is watched after a switch; 0 means no watch.
	BakeTime time.Duration
	// ProbeInterval is the time between two probes of that watch.
	ProbeInterval time.Duration
	// HistoryLimit is how many records are kept, at least 2.
	HistoryLimit int
}

// DefaultConfig returns the defaults: a health check of 30 s with 3 retries for all
// instances, 3 failed probes in a row until live is unhealthy, 60 s for the switch,
// 30 s for draining, a check of the standby before a rollback, no watch, and 10
// records of history.
func DefaultConfig() Config {
	return Config{
		HealthCheckTimeout: 30 * time.Second,
		HealthCheckRetries: 3,
		UnhealthyThreshold: 3,
		MinHealthyPercent:  100,
		SwitchTimeout:      60 * time.Second,
		DrainTimeout:       30 * time.Second,
		RollbackCheck:      true,
		ProbeInterval:      time.Second,
		HistoryLimit:       10,
	}
}
