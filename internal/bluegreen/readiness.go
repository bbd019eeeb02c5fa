// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"maps"
)

// Readiness is a Platform that judges instances itself, as Kubernetes does by a
// pod's readiness and Docker by a container's HEALTHCHECK. Its checks count like
// those of the Checker, have other names, and must all pass too. A Verdict without
// checks means that the platform does not judge this instance. Neither method
// needs the lock or starts anything.
type Readiness interface {
	// AwaitReady returns as soon as the platform holds this run of the instance
	// ready, the instance has exited, or ctx ends, whichever is first.
	AwaitReady(ctx context.Context, instance Instance) Verdict

	// Ready returns what the platform finds of the instance now.
	Ready(ctx context.Context, instance Instance) Verdict
}

// awaitHealthy waits for the Checker and for the platform at the same time.
func (e *executor) awaitHealthy(ctx context.Context, t *probedInstance) Verdict {
	platform, ok := e.Platform.(Readiness)
	if !ok {
		return e.Checker.Await(ctx, t)
	}
	waiting, cancel := context.WithCancel(ctx)
	defer cancel()
	judged := make(chan Verdict, 1)
	go func() { judged <- platform.AwaitReady(waiting, t.instance) }()
	verdict := e.Checker.Await(ctx, t)
	if !verdict.IsHealthy() {
		// The attempt has failed for this instance. What the platform finds does not matter.
		cancel()
	}
	return verdict.merge(<-judged)
}

// probe asks the Checker and the platform once. It returns the verdict of both, and
// that of the platform alone.
func (e *executor) probe(ctx context.Context, t *probedInstance) (verdict, readiness Verdict) {
	verdict = e.Checker.Probe(ctx, t)
	if platform, ok := e.Platform.(Readiness); ok {
		readiness = platform.Ready(ctx, t.instance)
	}
	return verdict.merge(readiness), readiness
}

// merge adds the checks of another verdict. If v has none, it stays without: a
// platform's readiness alone is no health check.
func (v Verdict) merge(other Verdict) Verdict {
	if len(v) == 0 || len(other) == 0 {
		return v
	}
	merged := maps.Clone(v)
	maps.Copy(merged, other)
	return merged
}
