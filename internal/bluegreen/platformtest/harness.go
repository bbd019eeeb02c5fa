// SPDX-License-Identifier: MPL-2.0

// Package platformtest holds every Platform to the contract of the engine: the
// stories of the engine, the contract of the seam method by method, and a fault
// at every call that an operation makes.
//
// It also has the in-memory platform on which the engine itself is tested.
package platformtest

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Harness is what the suite needs of a platform besides the Platform itself:
// processes that can die, releases that misbehave, and a client's eyes.
type Harness interface {
	// Open returns the platform of a deployment as a process that has just
	// started sees it. Nothing is kept between two Opens but what is durable.
	Open(t testing.TB, deployment string) Process
	// Release returns a release that answers its clients with version.
	Release(version string, behaviour Behaviour) bluegreen.Release
	// Checker returns a checker that such a release passes, or not.
	Checker() bluegreen.Checker
	// Serves returns the version that a client of the deployment's live endpoint
	// is answered with now, "" when nobody answers.
	Serves(t testing.TB, deployment string) string
	// Sicken makes what runs in env fail its health check from now on.
	Sicken(t testing.TB, deployment string, env bluegreen.Environment)
	// Crash has what runs in env exit by itself. The platform starts it again.
	Crash(t testing.TB, deployment string, env bluegreen.Environment)
}

// Process is a process with a platform in its hands.
type Process struct {
	bluegreen.Platform
	// Kill ends the process as kill -9 does: its lock is free afterwards.
	Kill func()
}

// Behaviour is how a release of the suite behaves.
type Behaviour string

const (
	// Healthy releases start, pass and serve.
	Healthy Behaviour = "healthy"
	// Unhealthy releases run and never pass a health check.
	Unhealthy Behaviour = "unhealthy"
	// Crashing releases exit as soon as they start, with status 3.
	Crashing Behaviour = "crashing"
)

// Run holds the platform behind harness to everything that the engine expects.
func Run(t *testing.T, harness Harness) {
	t.Run("contract", func(t *testing.T) { runContract(t, harness) })
	t.Run("stories", func(t *testing.T) { runStories(t, harness) })
	t.Run("faults", func(t *testing.T) { runFaults(t, harness) })
}

// operator returns a Deployer for a process that runs a while.
func operator(h Harness, deployment string, platform bluegreen.Platform, actor string) *bluegreen.Deployer {
	d := bluegreen.NewDeployer(deployment, platform, marked{h.Checker()}, actor)
	d.Config.HealthCheckTimeout = attemptTime
	d.Config.HealthCheckRetries = 1
	d.Config.ProbeInterval = time.Millisecond
	return d
}

// marked is a checker whose calls on the platform can be told from the engine's.
type marked struct{ bluegreen.Checker }

// checking marks the context of a check.
type checking struct{}

func (m marked) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	return m.Checker.Await(context.WithValue(ctx, checking{}, true), target)
}

// attemptTime is how long an attempt at the health check of an Unhealthy release
// takes in the suite. A healthy one passes much sooner or, on a busy machine, in
// one of the further attempts.
const attemptTime = 2 * time.Second

// farAway is a time that no story reaches: what waits for it is ended by an event.
const farAway = time.Hour

// desired is a configuration that asks for release, live.
func desired(release bluegreen.Release) bluegreen.Desired {
	return bluegreen.Desired{Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100}
}

// world is a deployment of the harness with a first process at work on it.
type world struct {
	testing.TB
	harness Harness
	name    string
	process Process
	*bluegreen.Deployer
}

// begin opens a deployment that is unlike any other of the test run. It is
// destroyed when the test is over.
func begin(t testing.TB, h Harness, name string) *world {
	t.Helper()
	process := h.Open(t, name)
	t.Cleanup(func() {
		process.Kill()
		last := h.Open(t, name)
		defer last.Kill()
		if err := operator(h, name, last.Platform, "cleanup").Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("destroying %s after the test: %v", name, err)
		}
	})
	return &world{TB: t, harness: h, name: name, process: process, Deployer: operator(h, name, process.Platform, "tester@host (pid 1)")}
}

// create brings the first release live.
func (w *world) create(version string) {
	w.Helper()
	w.must(second(w.Create(w.Context(), desired(w.harness.Release(version, Healthy)))))
	w.serves(version)
}

// release brings a healthy release live.
func (w *world) release(version string) {
	w.Helper()
	w.must(w.DeployAndSwitch(w.Context(), w.harness.Release(version, Healthy)))
	w.serves(version)
}

// another opens a second process on the same deployment.
func (w *world) another(actor string) *world {
	w.Helper()
	process := w.harness.Open(w, w.name)
	w.Cleanup(process.Kill)
	return &world{TB: w.TB, harness: w.harness, name: w.name, process: process, Deployer: operator(w.harness, w.name, process.Platform, actor)}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// mustFail fails the test unless err is of kind.
func (w *world) mustFail(err error, kind error) {
	w.Helper()
	if !errors.Is(err, kind) {
		w.Fatalf("got %v, want an error that is %v", err, kind)
	}
}

// serves fails the test unless a client is answered with version.
func (w *world) serves(version string) {
	w.Helper()
	if got := w.harness.Serves(w, w.name); got != version {
		w.Fatalf("a client is answered with %q, want %q", got, version)
	}
}

// ledger returns the ledger, which must be a possible one.
func (w *world) ledger() bluegreen.Ledger {
	w.Helper()
	l, err := w.process.Load(context.WithoutCancel(w.Context()))
	w.must(err)
	w.must(l.Validate())
	return l
}

// history returns all records, newest first.
func (w *world) history() []bluegreen.Record {
	w.Helper()
	archived, err := w.process.History(w.Context())
	w.must(err)
	return w.ledger().MergeHistory(archived)
}

// dump is a value as the platform's files could show it.
func dump(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}

func second[T any](_ T, err error) error { return err }
