// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// deployment is the name of the deployment in each of these tests.
const deployment = "web"

// desired returns a configuration that asks for release to be live.
func desired(release bluegreen.Release) bluegreen.Desired {
	return bluegreen.Desired{Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100}
}

// harness is a deployment on a platform in memory whose calls can fail. Its release
// 2.0.0 is live in blue, and 1.0.0 is the standby in green.
type harness struct {
	*testing.T
	*bluegreen.Deployer
	memory *platformtest.Memory
	faulty *platformtest.Faulty
	// fails is the method of the platform whose calls fail, "" for none.
	fails string
	// progress has every progress message.
	progress []string
}

func newHarness(t *testing.T) *harness {
	h := &harness{T: t, memory: platformtest.NewMemory()}
	process := h.memory.Open(t, deployment)
	t.Cleanup(process.Kill)
	h.faulty = platformtest.NewFaulty(process, func(_ int, method string) platformtest.Fault {
		if method == h.fails {
			return platformtest.Fails
		}
		return ""
	}, nil)
	h.Deployer = bluegreen.NewDeployer(deployment, h.faulty, h.memory.Checker(), "ann@host (pid 1)")
	h.Progress = func(message string) { h.progress = append(h.progress, message) }
	if _, err := h.Create(t.Context(), desired(h.release("1.0.0"))); err != nil {
		t.Fatal(err)
	}
	if err := h.DeployAndSwitch(t.Context(), h.release("2.0.0")); err != nil {
		t.Fatal(err)
	}
	return h
}

// release returns a healthy release.
func (h *harness) release(version string) bluegreen.Release {
	return h.memory.Release(version, platformtest.Healthy)
}

// ledger returns the stored ledger. No method fails any more after it.
func (h *harness) ledger() bluegreen.Ledger {
	h.Helper()
	h.fails = ""
	l, err := h.faulty.Load(h.Context())
	if err != nil {
		h.Fatal(err)
	}
	return l
}

// commitsOf counts the commits that operate makes.
func (h *harness) commitsOf(operate func()) int {
	before := h.commits()
	operate()
	return h.commits() - before
}

// commits counts all commits so far.
func (h *harness) commits() (n int) {
	for _, method := range h.faulty.Calls() {
		if method == "Commit" {
			n++
		}
	}
	return n
}

// mustServe reports an error unless clients get version.
func (h *harness) mustServe(version string) {
	h.Helper()
	if got := h.memory.Serves(h, deployment); got != version {
		h.Errorf("%q serves, want %q", got, version)
	}
}

// whenWatching calls f when the watch after a switch begins.
func (h *harness) whenWatching(f func()) {
	h.Progress = func(message string) {
		if strings.HasPrefix(message, "watching") {
			f()
		}
	}
}

// apply brings a healthy release of this version live.
func (h *harness) apply(version string) error {
	l, err := h.faulty.Load(h.Context())
	if err != nil {
		return err
	}
	_, err = h.Apply(h.Context(), l, desired(h.release(version)))
	return err
}

// matches reports whether err is of this kind and its text contains all of these.
func matches(err error, kind error, texts ...string) bool {
	if !errors.Is(err, kind) {
		return false
	}
	return !slices.ContainsFunc(texts, func(text string) bool { return !strings.Contains(err.Error(), text) })
}

// fourReplicas returns a release with four replicas.
func fourReplicas(memory *platformtest.Memory, version string) bluegreen.Release {
	r := memory.Release(version, platformtest.Healthy)
	r.Replicas = 4
	return r
}

// isIn reports whether the instance with this ID is in env.
func isIn(env bluegreen.Environment, id string) bool { return strings.HasPrefix(id, env.String()+"-") }

func alwaysHealthy(string, time.Duration) bool { return true }

// timedChecker is a checker whose verdict depends on the time. It is for tests in a
// bubble of testing/synctest, where the clock moves only while everything waits.
type timedChecker struct {
	// isHealthy is called with an instance's ID and the time since start.
	isHealthy func(id string, since time.Duration) bool
	start     time.Time
}

func (c *timedChecker) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	for {
		if v := c.Probe(ctx, target); v.IsHealthy() {
			return v
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return bluegreen.Verdict{"http": errors.New("GET /: 503")}
		}
	}
}

func (c *timedChecker) Probe(_ context.Context, target bluegreen.Target) bluegreen.Verdict {
	if c.isHealthy(target.ID(), time.Since(c.start)) {
		return bluegreen.Verdict{"http": nil}
	}
	return bluegreen.Verdict{"http": errors.New("GET /: 503")}
}

// timedHarness is a deployment on a platform in memory whose instances are healthy as
// checker says.
type timedHarness struct {
	*bluegreen.Deployer
	memory  *platformtest.Memory
	checker *timedChecker
	// exited is set once an instance has exited during a check.
	exited bool
}

func newTimedHarness(t *testing.T, isHealthy func(id string, since time.Duration) bool) *timedHarness {
	memory := platformtest.NewMemory()
	process := memory.Open(t, deployment)
	checker := &timedChecker{isHealthy: isHealthy, start: time.Now()}
	d := bluegreen.NewDeployer(deployment, process.Platform, checker, "ann@host")
	return &timedHarness{Deployer: d, memory: memory, checker: checker}
}

// create makes the deployment with four replicas of 1.0.0.
func (h *timedHarness) create(t *testing.T) {
	t.Helper()
	if _, err := h.Create(t.Context(), desired(fourReplicas(h.memory, "1.0.0"))); err != nil {
		t.Fatal(err)
	}
}

// misroutedPlatform is a platform whose traffic goes elsewhere.
type misroutedPlatform struct{ bluegreen.Platform }

var errMisrouted = errors.New("two other endpoints get its traffic")

func (misroutedPlatform) AwaitTraffic(ctx context.Context, _ bluegreen.Environment) error {
	if _, bounded := ctx.Deadline(); !bounded {
		return errors.New("the wait has no deadline")
	}
	return errMisrouted
}
