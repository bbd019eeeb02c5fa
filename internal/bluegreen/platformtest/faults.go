// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// faultScenario is an operation that is run once for each fault at each of its calls.
type faultScenario struct {
	name string
	// before makes the deployment that the operation starts from.
	before func(p *platformUnderTest)
	// operate runs the operation. planned is the ledger that its plan was made from.
	operate func(ctx context.Context, p *platformUnderTest, planned bluegreen.Ledger) error
	// from and to are the versions that serve before and after it.
	from, to string
	// done reports whether the operation has reached its goal.
	done func(p *platformUnderTest) bool
}

func faultScenarios() []faultScenario {
	serves := func(version string) func(*platformUnderTest) bool {
		return func(p *platformUnderTest) bool {
			l, err := p.process.Load(p.Context())
			if err != nil || !l.IsServing() {
				return false
			}
			return l.Slot(l.Live).Release.Version == version && l.WatchDue == ""
		}
	}
	return []faultScenario{
		{
			name: "deploy and switch", from: "1.0.0", to: "2.0.0",
			before: func(p *platformUnderTest) { p.create("1.0.0") },
			operate: func(ctx context.Context, p *platformUnderTest, planned bluegreen.Ledger) error {
				return second(p.Apply(ctx, planned, desired(p.harness.Release("2.0.0", Healthy))))
			},
			done: serves("2.0.0"),
		},
		{
			name: "rollback", from: "2.0.0", to: "1.0.0",
			before: func(p *platformUnderTest) { p.create("1.0.0"); p.deployVersion("2.0.0") },
			operate: func(ctx context.Context, p *platformUnderTest, _ bluegreen.Ledger) error {
				return p.Rollback(ctx, "asked for")
			},
			done: serves("1.0.0"),
		},
		{
			name: "scale", from: "1.0.0", to: "1.0.0",
			before: func(p *platformUnderTest) { p.create("0.9.0"); p.deployVersion("1.0.0") },
			operate: func(ctx context.Context, p *platformUnderTest, planned bluegreen.Ledger) error {
				release := p.harness.Release("1.0.0", Healthy)
				release.Replicas++
				return second(p.Apply(ctx, planned, desired(release)))
			},
			done: func(p *platformUnderTest) bool {
				status, err := p.Status(p.Context())
				if err != nil {
					return false
				}
				l, want := status.Ledger, p.harness.Release("1.0.0", Healthy).Replicas+1
				return l.Slot(l.Live).Release.Replicas == want &&
					status.Running[bluegreen.Blue] == want && status.Running[bluegreen.Green] == want
			},
		},
		{
			name: "destroy", from: "2.0.0", to: "",
			before: func(p *platformUnderTest) { p.create("1.0.0"); p.deployVersion("2.0.0") },
			operate: func(ctx context.Context, p *platformUnderTest, _ bluegreen.Ledger) error {
				return p.Destroy(ctx)
			},
			done: func(p *platformUnderTest) bool {
				_, err := p.process.Load(p.Context())
				if err != nil && !errors.Is(err, bluegreen.ErrNotFound) {
					p.Logf("whether the deployment is gone cannot be told: %v", err)
				}
				return errors.Is(err, bluegreen.ErrNotFound)
			},
		},
		{
			name: "create", from: "", to: "1.0.0",
			before: func(*platformUnderTest) {},
			operate: func(ctx context.Context, p *platformUnderTest, _ bluegreen.Ledger) error {
				return second(p.Create(ctx, desired(p.harness.Release("1.0.0", Healthy))))
			},
			done: serves("1.0.0"),
		},
	}
}

// everyFault makes runFaults do on a real platform what it does in memory.
var everyFault = flag.Bool("every-fault", false,
	"inject every fault at every call, and run two replicas, on a real platform too")

// runFaults lists the calls that each operation makes. It then runs the operation once
// for each call and each fault, with that fault at that call. On a real platform each run
// takes seconds. There it leaves out what distinctFaults does, and runs one replica: no
// fault comes between two replicas.
func runFaults(t *testing.T, h Harness) {
	var survived atomic.Int64
	faultsAt := distinctFaults
	if _, isInMemory := h.(*Memory); isInMemory || *everyFault {
		faultsAt = func([]string, int) []Fault { return Faults() }
	} else {
		h = singleReplica{h}
	}
	t.Run("at every step", func(t *testing.T) {
		for _, scenario := range faultScenarios() {
			t.Run(slug(scenario.name), func(t *testing.T) {
				calls := listCalls(t, h, scenario)
				for k, method := range calls {
					for _, fault := range faultsAt(calls, k) {
						t.Run(fmt.Sprintf("%02d-%s-%s", k+1, method, slug(string(fault))), func(t *testing.T) {
							t.Parallel()
							surviveFault(t, h, scenario, k+1, fault)
							survived.Add(1)
						})
					}
				}
			})
		}
	})
	t.Logf("survived %d faults", survived.Load())
}

// singleReplica is a Harness whose releases run one replica.
type singleReplica struct{ Harness }

func (s singleReplica) Release(version string, behaviour Behaviour) bluegreen.Release {
	release := s.Harness.Release(version, behaviour)
	release.Replicas = 1
	return release
}

// readingCalls are the calls that change nothing.
var readingCalls = []string{"Load", "History", "Observe", "Instances", "AwaitTraffic"}

// distinctFaults returns the faults at calls[k] that no other fault is equal to. A call that
// only reads leaves the same when its answer is lost as when it fails. A process that dies
// before a call leaves what one leaves that dies after the call before. It is kept where time
// may have passed since the last change.
func distinctFaults(calls []string, k int) []Fault {
	isReading := func(k int) bool { return slices.Contains(readingCalls, calls[k]) }
	faults := []Fault{Fails}
	if !isReading(k) {
		faults = append(faults, AnswerLost)
	}
	if k == 0 || isReading(k-1) && !isReading(k) {
		faults = append(faults, DiesBefore)
	}
	if k == len(calls)-1 || !isReading(k) {
		faults = append(faults, DiesAfter)
	}
	return faults
}

// slug returns s as a part of a test's name.
func slug(s string) string { return strings.ReplaceAll(s, " ", "-") }

// deploymentName returns a name for the deployment of a test: a DNS label.
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

// listCalls returns the calls that the operation makes when nothing fails.
func listCalls(t *testing.T, h Harness, scenario faultScenario) []string {
	p := newPlatformUnderTest(t, h, "without-faults-"+slug(scenario.name))
	p.Config.HealthCheckTimeout = longTimeout
	scenario.before(p)
	faulty := NewFaulty(p.process, nil, nil)
	p.Platform = faulty
	p.must(scenario.operate(t.Context(), p, p.planned()))
	calls := faulty.Calls()
	if len(calls) < 3 {
		t.Fatalf("%s makes only the calls %v", scenario.name, calls)
	}
	return calls
}

// surviveFault runs the operation with the fault at its k-th call. It checks the
// promises of the engine then, and again after the next run.
func surviveFault(t *testing.T, h Harness, scenario faultScenario, k int, fault Fault) {
	p := newPlatformUnderTest(t, h, deploymentName(t))
	p.Config.HealthCheckTimeout = longTimeout
	scenario.before(p)
	planned := p.planned()

	faultyProcess := p.openAnother("faulty@host (pid 2)")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	injected := false
	killable := Process{Platform: faultyProcess.process, Kill: func() { faultyProcess.process.Kill(); cancel() }}
	faulty := NewFaulty(killable, func(n int, _ string) Fault {
		if n != k {
			return ""
		}
		injected = true
		return fault
	}, func(l bluegreen.Ledger) {
		if err := l.Validate(); err != nil {
			t.Errorf("after a commit: %v", err)
		}
	})
	faultyProcess.Platform = faulty
	// One attempt at the health check, so that the calls are always the same.
	faultyProcess.Config.HealthCheckTimeout = longTimeout
	_ = scenario.operate(ctx, faultyProcess, planned) // Its outcome is checked below.
	if !injected {
		t.Fatalf("call %d was never made", k)
	}
	clientMustSeeTheLedger(t, h, p, scenario)

	next := p.openAnother("next@host (pid 3)")
	next.Config.HealthCheckTimeout = longTimeout
	if !scenario.done(next) {
		operate := func() error { return scenario.operate(t.Context(), next, next.planned()) }
		if err := onceUnlocked(next, operate); err != nil {
			t.Fatalf("the next run does not converge: %v", err)
		}
	}
	if !scenario.done(next) {
		t.Fatal("the next run says it is done, but it is not")
	}
	next.mustServe(scenario.to)
}

// planned returns the ledger that a plan is made from: an empty one if there is none.
func (p *platformUnderTest) planned() bluegreen.Ledger {
	p.Helper()
	l, err := p.process.Load(p.Context())
	if errors.Is(err, bluegreen.ErrNotFound) {
		return bluegreen.NewLedger(p.name)
	}
	p.must(err)
	p.must(l.Validate())
	return l
}

// clientMustSeeTheLedger fails the test unless clients get the version that the ledger
// says is live, and that is the version before the operation or the one after it.
func clientMustSeeTheLedger(t *testing.T, h Harness, p *platformUnderTest, scenario faultScenario) {
	t.Helper()
	want := ""
	l, err := p.process.Load(t.Context())
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
	if want != scenario.from && want != scenario.to {
		t.Errorf("the ledger says that %q is live, which is neither %q nor %q", want, scenario.from, scenario.to)
	}
	if got := h.Serves(t, p.name); got != want {
		t.Errorf("a client is answered with %q, and the ledger says %q", got, want)
	}
}
