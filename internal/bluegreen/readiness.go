// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"maps"
)

// Readiness is a Platform that judges instances itself: by a pod's readiness, by
// a container's HEALTHCHECK. What it finds counts like the Checker's checks, of
// which its own have other names; all must pass. A Verdict without checks means
// that it has no means to tell for this instance. Neither method needs the lock
// or starts anything.
type Readiness interface {
	// AwaitReady returns as soon as the platform holds this run of the instance
	// ready, the instance has exited, or ctx ends, whichever is first.
	AwaitReady(ctx context.Context, instance Instance) Verdict

	// Ready tells how it is now.
	Ready(ctx context.Context, instance Instance) Verdict
}

// awaitHealthy waits, at the same time, for the checks and for the platform.
func (s *session) awaitHealthy(ctx context.Context, t *target) Verdict {
	platform, ok := s.Platform.(Readiness)
	if !ok {
		return s.Checker.Await(ctx, t)
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	judged := make(chan Verdict, 1)
	go func() { judged <- platform.AwaitReady(waiting, t.instance) }()
	verdict := s.Checker.Await(ctx, t)
	if !verdict.IsHealthy() {
		// The attempt has failed for this instance, whatever the platform finds.
		cancel()
	}
	return verdict.and(<-judged)
}

// probe asks the checks and the platform once.
func (s *session) probe(ctx context.Context, t *target) Verdict {
	verdict := s.Checker.Probe(ctx, t)
	if platform, ok := s.Platform.(Readiness); ok {
		return verdict.and(platform.Ready(ctx, t.instance))
	}
	return verdict
}

// and adds the checks of another verdict. The Checker must have given a result:
// the platform's alone is no health check.
func (v Verdict) and(other Verdict) Verdict {
	if len(v) == 0 || len(other) == 0 {
		return v
	}
	joined := maps.Clone(v)
	maps.Copy(joined, other)
	return joined
}
