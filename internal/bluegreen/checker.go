// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"net"
)

// Checker runs the configured health checks. internal/health implements it.
type Checker interface {
	// Await probes the instance until every check has passed as often in a row as
	// configured, the instance has exited, or ctx ends, whichever is first.
	Await(ctx context.Context, target Target) Verdict

	// Probe runs every check once.
	Probe(ctx context.Context, target Target) Verdict
}

// Target is an instance that a Checker probes.
type Target interface {
	// ID names the instance.
	ID() string
	// Dial connects to the port that the instance serves.
	Dial(ctx context.Context) (net.Conn, error)
	// Exec runs a command in the instance's environment and returns nil if it exits
	// with 0; see Workloads.Exec.
	Exec(ctx context.Context, command []string) error
	// Exited returns how the instance ended, or nil while it runs.
	Exited(ctx context.Context) error
}

// Verdict maps the name of each check to the cause of its last failure, or to nil if
// it passed. A Verdict without checks is not healthy.
type Verdict map[string]error

// IsHealthy reports whether there was at least one check and every check passed.
func (v Verdict) IsHealthy() bool {
	for _, cause := range v {
		if cause != nil {
			return false
		}
	}
	return len(v) > 0
}
