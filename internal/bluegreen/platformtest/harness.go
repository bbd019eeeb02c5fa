// SPDX-License-Identifier: MPL-2.0

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
// processes that can be killed, releases that fail, and a client.
type Harness interface {
	// Open returns the platform of a deployment in a new process. Two processes share
	// only what is durable.
	Open(t testing.TB, deployment string) Process
	// Release returns a release that answers its clients with version.
	Release(version string, behaviour Behaviour) bluegreen.Release
	// Checker returns a checker that Healthy releases pass and others fail.
	Checker() bluegreen.Checker
	// Serves returns the version that the deployment's live endpoint answers with
	// now, or "" if it does not answer.
	Serves(t testing.TB, deployment string) string
	// MakeUnhealthy makes the instances in env fail their health check from now on.
	MakeUnhealthy(t testing.TB, deployment string, env bluegreen.Environment)
	// Crash makes the instances in env exit by themselves. The platform restarts them.
	Crash(t testing.TB, deployment string, env bluegreen.Environment)
}

// Process is a process that uses a platform.
type Process struct {
	bluegreen.Platform
	// Kill ends the process as kill -9 does. Its lock is free afterwards.
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

// Run runs the suite on the platform behind harness.
func Run(t *testing.T, harness Harness) {
	t.Run("contract", func(t *testing.T) { runContract(t, harness) })
	t.Run("scenarios", func(t *testing.T) { runScenarios(t, harness) })
	t.Run("faults", func(t *testing.T) { runFaults(t, harness) })
}

// newDeployer returns a Deployer with short waits.
func newDeployer(h Harness, deployment string, platform bluegreen.Platform, actor string) *bluegreen.Deployer {
	d := bluegreen.NewDeployer(deployment, platform, markedChecker{h.Checker()}, actor)
	d.Config.HealthCheckTimeout = attemptTimeout
	d.Config.HealthCheckRetries = 1
	d.Config.ProbeInterval = time.Millisecond
	return d
}

// markedChecker marks the calls on the platform that a check makes. Faulty does not
// count them.
type markedChecker struct{ bluegreen.Checker }

// checking is the key of the mark in a check's context.
type checking struct{}

func (m markedChecker) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	return m.Checker.Await(context.WithValue(ctx, checking{}, true), target)
}

// attemptTimeout is the health check timeout of the suite. A healthy release passes
// much sooner or, on a busy machine, in the second attempt.
const attemptTimeout = 2 * time.Second

// longTimeout is longer than any scenario takes. An event ends the wait before.
const longTimeout = time.Hour

// desired returns a configuration that asks for release to be live.
func desired(release bluegreen.Release) bluegreen.Desired {
	return bluegreen.Desired{Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100}
}

// platformUnderTest is a deployment on the harness's platform and a process that uses it.
type platformUnderTest struct {
	testing.TB
	harness Harness
	name    string
	process Process
	*bluegreen.Deployer
}

// newPlatformUnderTest opens the deployment called name, which no other test uses. It
// is destroyed at the end of the test.
func newPlatformUnderTest(t testing.TB, h Harness, name string) *platformUnderTest {
	t.Helper()
	process := h.Open(t, name)
	t.Cleanup(func() {
		process.Kill()
		last := h.Open(t, name)
		defer last.Kill()
		d := newDeployer(h, name, last.Platform, "cleanup")
		if err := d.Destroy(context.WithoutCancel(t.Context())); err != nil {
			t.Errorf("destroying %s after the test: %v", name, err)
		}
	})
	return &platformUnderTest{
		TB: t, harness: h, name: name, process: process,
		Deployer: newDeployer(h, name, process.Platform, "tester@host (pid 1)"),
	}
}

// create makes the deployment with a healthy first release.
func (p *platformUnderTest) create(version string) {
	p.Helper()
	p.must(second(p.Create(p.Context(), desired(p.harness.Release(version, Healthy)))))
	p.mustServe(version)
}

// deployVersion brings a healthy release of this version live.
func (p *platformUnderTest) deployVersion(version string) {
	p.Helper()
	p.must(p.DeployAndSwitch(p.Context(), p.harness.Release(version, Healthy)))
	p.mustServe(version)
}

// openAnother opens another process on the same deployment.
func (p *platformUnderTest) openAnother(actor string) *platformUnderTest {
	p.Helper()
	process := p.harness.Open(p, p.name)
	p.Cleanup(process.Kill)
	return &platformUnderTest{
		TB: p.TB, harness: p.harness, name: p.name, process: process,
		Deployer: newDeployer(p.harness, p.name, process.Platform, actor),
	}
}

// must fails the test if err is not nil.
func (p *platformUnderTest) must(err error) {
	p.Helper()
	if err != nil {
		p.Fatal(err)
	}
}

// mustFail fails the test unless err is of kind.
func (p *platformUnderTest) mustFail(err error, kind error) {
	p.Helper()
	if !errors.Is(err, kind) {
		p.Fatalf("got %v, want an error that is %v", err, kind)
	}
}

// mustServe fails the test unless clients get version, "" for no answer.
func (p *platformUnderTest) mustServe(version string) {
	p.Helper()
	if got := p.harness.Serves(p, p.name); got != version {
		p.Fatalf("a client is answered with %q, want %q", got, version)
	}
}

// ledger returns the ledger, which must be valid.
func (p *platformUnderTest) ledger() bluegreen.Ledger {
	p.Helper()
	l, err := p.process.Load(context.WithoutCancel(p.Context()))
	p.must(err)
	p.must(l.Validate())
	return l
}

// history returns all records, newest first.
func (p *platformUnderTest) history() []bluegreen.Record {
	p.Helper()
	archived, err := p.process.History(p.Context())
	p.must(err)
	return p.ledger().MergeHistory(archived)
}

// dump returns v as JSON.
func dump(v any) string {
	encoded, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(encoded)
}

// second drops the first of two results.
func second[T any](_ T, err error) error { return err }
