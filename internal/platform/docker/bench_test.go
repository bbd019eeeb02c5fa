// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// stopwatch records when the last replica was found healthy, and when the switch was
// committed.
type stopwatch struct {
	*Platform
	bluegreen.Checker

	mu                sync.Mutex
	healthy, switched time.Time
}

func (w *stopwatch) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	verdict := w.Checker.Await(ctx, target)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.healthy = time.Now()
	return verdict
}

func (w *stopwatch) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	err := w.Platform.Commit(ctx, next, closed)
	// The commit that switches is the first one after which live is not yet watched.
	if next.WatchDue != "" {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.switched = time.Now()
	}
	return err
}

// BenchmarkHealthyToSwitched measures the time from the answer of the last
// replica to its health check until the switch is committed, at three replicas.
func BenchmarkHealthyToSwitched(b *testing.B) {
	h := newHarness(b)
	s := h.newService(b, h.name)
	s.deployLive("1.0.0")
	release := s.release("2.0.0", agenttest.Healthy)
	release.Replicas = 3
	w := &stopwatch{Platform: s.platform, Checker: s.Checker}
	s.Platform, s.Checker = w, w
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		// Every release is a new one: its replicas have to start.
		release.Args = []string{time.Duration(n).String()}
		s.must(s.DeployAndSwitch(b.Context(), release))
		took = append(took, w.switched.Sub(w.healthy))
	}
	report(b, took)
}

// BenchmarkRollback measures a rollback from the engine's call to its return.
func BenchmarkRollback(b *testing.B) {
	h := newHarness(b)
	s := h.newService(b, h.name)
	s.deployLive("1.0.0")
	release := s.deployLive("2.0.0")
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		s.must(s.Rollback(b.Context(), "measured"))
		took = append(took, time.Since(began))
		s.must(s.DeployAndSwitch(b.Context(), release))
	}
	report(b, took)
}

// BenchmarkObserve measures what a refresh of one deployment takes, by a process
// that has just started.
func BenchmarkObserve(b *testing.B) {
	h := newHarness(b)
	s := h.newService(b, h.name)
	s.deployLive("1.0.0")
	var took []time.Duration
	for b.Loop() {
		p, err := New(h.options(h.name))
		s.must(err)
		began := time.Now()
		s.must(errorOf(p.Observe(b.Context())))
		took = append(took, time.Since(began))
		p.Close()
	}
	report(b, took)
}

func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	for name, percent := range map[string]int{"p50-ms": 50, "p95-ms": 95} {
		at := took[min(len(took)*percent/100, len(took)-1)]
		b.ReportMetric(float64(at.Microseconds())/1000, name)
	}
}
