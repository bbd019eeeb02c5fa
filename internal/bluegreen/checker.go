// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"net"
)

// Checker tells whether an instance does its work. internal/health implements it.
type Checker interface {
	// Await probes the instance until every check passes as often in a row as
	// it must, the instance has exited, or ctx ends, whichever is first.
	Await(ctx context.Context, target Target) Verdict

	// Probe runs every check once.
	Probe(ctx context.Context, target Target) Verdict
}

// Target is an instance as a check sees it.
type Target interface {
	// ID names the instance.
	ID() string
	// Dial connects to the port that the instance serves.
	Dial(ctx context.Context) (net.Conn, error)
	// Exec runs a command beside the instance; nil means that it exited with 0.
	Exec(ctx context.Context, command []string) error
	// Exited returns how the instance ended, or nil while it runs.
	Exited(ctx context.Context) error
}

// Verdict maps the name of each check to its last cause of failure, nil where it passed.
// A Verdict without checks is not healthy: no result is no pass.
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
