// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// faultStory is an operation in whose every step something goes wrong.
type faultStory struct {
	name string
	// before makes the deployment that the operation starts from.
	before func(w *world)
	// operate is the operation, on the deployment as planned.
	operate func(ctx context.Context, w *world, planned bluegreen.Ledger) error
	// from and to are what a client is answered with before and after it.
	from, to string
	// done reports whether the operation needs no repetition.
	done func(w *world) bool
}

func faultStories() []faultStory {
	serves := func(version string) func(*world) bool {
		return func(w *world) bool {
			l, err := w.process.Load(w.Context())
			if err != nil || !l.IsServing() {
				return false
			}
			return l.Slot(l.Live).Release.Version == version && l.WatchDue == ""
		}
	}
	return []faultStory{
		{
			name: "deploy and switch", from: "1.0.0", to: "2.0.0",
			before: func(w *world) { w.create("1.0.0") },
			operate: func(ctx context.Context, w *world, planned bluegreen.Ledger) error {
				return second(w.Apply(ctx, planned, desired(w.harness.Release("2.0.0", Healthy))))
			},
			done: serves("2.0.0"),
		},
		{
			name: "rollback", from: "2.0.0", to: "1.0.0",
			before:  func(w *world) { w.create("1.0.0"); w.release("2.0.0") },
			operate: func(ctx context.Context, w *world, _ bluegreen.Ledger) error { return w.Rollback(ctx, "asked for") },
			done:    serves("1.0.0"),
		},
		{
			name: "scale", from: "1.0.0", to: "1.0.0",
			before: func(w *world) { w.create("0.9.0"); w.release("1.0.0") },
			operate: func(ctx context.Context, w *world, planned bluegreen.Ledger) error {
				release := w.harness.Release("1.0.0", Healthy)
				release.Replicas = 3
				return second(w.Apply(ctx, planned, desired(release)))
			},
			done: func(w *world) bool {
				status, err := w.Status(w.Context())
				if err != nil {
					return false
				}
				l := status.Ledger
				return l.Slot(l.Live).Release.Replicas == 3 && status.Running[bluegreen.Blue] == 3 && status.Running[bluegreen.Green] == 3
			},
		},
		{
			name: "destroy", from: "2.0.0", to: "",
			before:  func(w *world) { w.create("1.0.0"); w.release("2.0.0") },
			operate: func(ctx context.Context, w *world, _ bluegreen.Ledger) error { return w.Destroy(ctx) },
			done: func(w *world) bool {
				_, err := w.process.Load(w.Context())
				return errors.Is(err, bluegreen.ErrNotFound)
			},
		},
		{
			name: "create", from: "", to: "1.0.0",
			before: func(*world) {},
			operate: func(ctx context.Context, w *world, _ bluegreen.Ledger) error {
				return second(w.Create(ctx, desired(w.harness.Release("1.0.0", Healthy))))
			},
			done: serves("1.0.0"),
		},
	}
}

// runFaults counts the calls that each operation makes, and runs it once more
// for each call and each fault, with that fault at that call.
func runFaults(t *testing.T, h Harness) {
	var survived atomic.Int64
	t.Run("at every step", func(t *testing.T) {
		for _, story := range faultStories() {
			t.Run(slug(story.name), func(t *testing.T) {
				calls := countCalls(t, h, story)
				for k, method := range calls {
					for _, fault := range Faults() {
						t.Run(fmt.Sprintf("%02d-%s-%s", k+1, method, slug(string(fault))), func(t *testing.T) {
							t.Parallel()
							surviveFault(t, h, story, k+1, fault)
							survived.Add(1)
						})
					}
				}
			})
		}
	})
	t.Logf("survived %d faults", survived.Load())
}

func slug(s string) string { return strings.ReplaceAll(s, " ", "-") }

// deploymentName makes a name of its own for a test: a DNS label.
func deploymentName(t testing.TB) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		default:
			return '-'
		}
	}, t.Name())
	const longest = 40
	return strings.Trim(name[max(len(name)-longest, 0):], "-")
}

// countCalls returns the calls that the operation makes when nothing goes wrong.
func countCalls(t *testing.T, h Harness, story faultStory) []string {
	w := begin(t, h, "undisturbed-"+slug(story.name))
	story.before(w)
	w.Config.HealthCheckTimeout = farAway
	faulty := NewFaulty(w.process, nil, nil)
	w.Platform = faulty
	w.must(story.operate(t.Context(), w, w.planned()))
	calls := faulty.Calls()
	if len(calls) < 3 {
		t.Fatalf("%s makes only the calls %v", story.name, calls)
	}
	return calls
}

// surviveFault lets the fault befall the k-th call of the operation and checks
// the promises of the engine, then and after the next run.
func surviveFault(t *testing.T, h Harness, story faultStory, k int, fault Fault) {
	w := begin(t, h, deploymentName(t))
	story.before(w)
	planned := w.planned()

	victim := w.another("victim@host (pid 2)")
	ctx, die := context.WithCancel(t.Context())
	defer die()
	befallen := false
	mortal := Process{Platform: victim.process, Kill: func() { victim.process.Kill(); die() }}
	faulty := NewFaulty(mortal, func(n int, _ string) Fault {
		if n != k {
			return ""
		}
		befallen = true
		return fault
	}, func(l bluegreen.Ledger) {
		if err := l.Validate(); err != nil {
			t.Errorf("after a commit: %v", err)
		}
	})
	victim.Platform = faulty
	// One attempt at the health check, so that the calls are always the same.
	victim.Config.HealthCheckTimeout = farAway
	_ = story.operate(ctx, victim, planned) // What it came to is seen below.
	if !befallen {
		t.Fatalf("call %d never came", k)
	}
	clientSeesTheLedger(t, h, w, story)

	next := w.another("next@host (pid 3)")
	if !story.done(next) {
		if err := story.operate(t.Context(), next, next.planned()); err != nil {
			t.Fatalf("the next run does not converge: %v", err)
		}
	}
	if !story.done(next) {
		t.Fatal("the next run says it is done, but it is not")
	}
	next.serves(story.to)
}

// planned is the ledger that a plan is made from: empty where there is none.
func (w *world) planned() bluegreen.Ledger {
	w.Helper()
	l, err := w.process.Load(w.Context())
	if errors.Is(err, bluegreen.ErrNotFound) {
		return bluegreen.NewLedger(w.name)
	}
	w.must(err)
	w.must(l.Validate())
	return l
}

// clientSeesTheLedger makes sure that what a client is answered with is what the
// ledger says, and nothing but the old or the new.
func clientSeesTheLedger(t *testing.T, h Harness, w *world, story faultStory) {
	t.Helper()
	want := ""
	l, err := w.process.Load(t.Context())
	switch {
	case errors.Is(err, bluegreen.ErrNotFound):
	case err != nil:
		t.Fatal(err)
	default:
		if err := l.Validate(); err != nil {
			t.Fatal(err)
		}
		if l.IsServing() {
			want = l.Slot(l.Live).Release.Version
		}
	}
	if want != story.from && want != story.to {
		t.Errorf("the ledger says that %q is live, which is neither %q nor %q", want, story.from, story.to)
	}
	if got := h.Serves(t, w.name); got != want {
		t.Errorf("a client is answered with %q, and the ledger says %q", got, want)
	}
}
