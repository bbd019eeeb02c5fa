// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

func TestNextRunFinishesAFailedCleanup(t *testing.T) {
	h := newHarness(t)
	h.fails = "Remove"
	err := h.DeployAndSwitch(t.Context(), h.memory.Release("3.0.0", platformtest.Crashing))
	if !errors.Is(err, bluegreen.HealthCheckFailed) ||
		!matches(err, platformtest.ErrInjected, "the next run finishes it") {
		t.Errorf("the error is %v", err)
	}
	h.fails = ""
	if err := h.Rollback(t.Context(), "no standby"); !errors.Is(err, bluegreen.RollbackFailed) {
		t.Error(err)
	}
	if left, err := h.faulty.Instances(t.Context(), bluegreen.Green); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

// The instances of a failed release are gone when the operation returns, wherever it failed.
func TestFailedReleaseIsRemoved(t *testing.T) {
	for _, fails := range []string{"Provision", "AwaitTraffic"} {
		h := newHarness(t)
		h.fails = fails
		if err := h.DeployAndSwitch(t.Context(), h.release("3.0.0")); !errors.Is(err, platformtest.ErrInjected) {
			t.Fatal(err)
		}
		l := h.ledger()
		record, _ := l.Record(l.Green.Record)
		if l.Green.State != bluegreen.Failed || record.Status != bluegreen.StatusFailed {
			t.Errorf("%s fails: green is %s, its record %s", fails, l.Green.State, record.Status)
		}
		if left, err := h.faulty.Instances(t.Context(), bluegreen.Green); err != nil || len(left) != 0 {
			t.Errorf("%s fails: left over: %v, %v", fails, left, err)
		}
		h.mustServe("2.0.0")
	}
}

func TestEmptyEnvironmentIsNotRemoved(t *testing.T) {
	h := newHarness(t)
	if err := h.CleanupStaging(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := len(h.faulty.Calls())
	if err := h.Scale(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(h.faulty.Calls()[before:], "Remove") {
		t.Error("an empty environment was removed")
	}
}

// slowDrainPlatform is a platform on which draining takes a time.
type slowDrainPlatform struct {
	bluegreen.Platform
	takes time.Duration
}

func (p slowDrainPlatform) Drain(ctx context.Context, _ bluegreen.Environment) error {
	select {
	case <-time.After(p.takes):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Cleaning up goes on after an interrupt, for drain_timeout and a minute more.
func TestCleanupLastsForTheDrainTimeoutAndAMinute(t *testing.T) {
	const drainTimeout = 10 * time.Minute
	for drain, finishes := range map[time.Duration]bool{
		drainTimeout + 59*time.Second: true, drainTimeout + 61*time.Second: false,
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newTimedHarness(t, alwaysHealthy)
			h.Config.DrainTimeout = drainTimeout
			h.create(t)
			h.Platform = slowDrainPlatform{h.Platform, drain}
			h.checker.isHealthy = func(string, time.Duration) bool { return false }
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			time.AfterFunc(time.Second, interrupt)
			began := time.Now()
			err := h.DeployAndSwitch(ctx, fourReplicas(h.memory, "2.0.0"))
			left, listErr := h.Platform.Instances(t.Context(), bluegreen.Blue)
			if listErr != nil {
				t.Fatal(listErr)
			}
			if (len(left) == 0) != finishes {
				t.Errorf("draining takes %s, and %d instances are left: %v", drain, len(left), err)
			}
			if matches(err, bluegreen.Interrupted, "the next run finishes it") == finishes {
				t.Errorf("draining takes %s: %v", drain, err)
			}
			want := time.Second + min(drain, drainTimeout+time.Minute)
			if took := time.Since(began); took != want {
				t.Errorf("the operation took %s, want %s", took, want)
			}
		})
	}
}

// deadlinePlatform is a platform that records how much time its calls have.
type deadlinePlatform struct {
	bluegreen.Platform
	// fails is the method that fails, "" for none.
	fails string
	// limits has the time that the last call of each method had, 0 for no limit.
	limits map[string]time.Duration
}

var errBroken = errors.New("it is broken")

func (p *deadlinePlatform) call(ctx context.Context, method string, work func() error) error {
	p.limits[method] = 0
	if deadline, limited := ctx.Deadline(); limited {
		p.limits[method] = time.Until(deadline)
	}
	if p.fails == method {
		return errBroken
	}
	return work()
}

func (p *deadlinePlatform) Load(ctx context.Context) (l bluegreen.Ledger, err error) {
	err = p.call(ctx, "Load", func() (err error) { l, err = p.Platform.Load(ctx); return err })
	return l, err
}

func (p *deadlinePlatform) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	return p.call(ctx, "Commit", func() error { return p.Platform.Commit(ctx, next, closed) })
}

func (p *deadlinePlatform) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	return p.call(ctx, "Scale", func() error { return p.Platform.Scale(ctx, env, replicas) })
}

func (p *deadlinePlatform) AwaitTraffic(ctx context.Context, env bluegreen.Environment) error {
	return p.call(ctx, "AwaitTraffic", func() error { return p.Platform.AwaitTraffic(ctx, env) })
}

func (p *deadlinePlatform) Drain(ctx context.Context, env bluegreen.Environment) error {
	return p.call(ctx, "Drain", func() error { return p.Platform.Drain(ctx, env) })
}

func (p *deadlinePlatform) Remove(ctx context.Context, env bluegreen.Environment) error {
	return p.call(ctx, "Remove", func() error { return p.Platform.Remove(ctx, env) })
}

func (p *deadlinePlatform) Erase(ctx context.Context) error {
	return p.call(ctx, "Erase", func() error { return p.Platform.Erase(ctx) })
}

func TestEveryCleanupHasTheSameDeadline(t *testing.T) {
	unhealthy := func(h *timedHarness) { h.checker.isHealthy = func(string, time.Duration) bool { return false } }
	deploy := func(t *testing.T, h *timedHarness) error {
		return h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0"))
	}
	for name, c := range map[string]struct {
		// method is the method of the platform that fails, "" for none.
		method  string
		operate func(t *testing.T, h *timedHarness) error
		// calls are the methods whose last call is part of the cleanup.
		calls []string
	}{
		"a failed release": {"", func(t *testing.T, h *timedHarness) error {
			unhealthy(h)
			return deploy(t, h)
		}, []string{"Commit", "Drain", "Remove"}},
		"a failed first release": {"", func(t *testing.T, h *timedHarness) error {
			if err := h.Destroy(t.Context()); err != nil {
				return err
			}
			unhealthy(h)
			_, err := h.Create(t.Context(), desired(fourReplicas(h.memory, "2.0.0")))
			return err
		}, []string{"Drain", "Remove", "Erase"}},
		"a failed scaling": {"", func(t *testing.T, h *timedHarness) error {
			unhealthy(h)
			return h.Scale(t.Context(), 5)
		}, []string{"Commit", "Scale"}},
		"an automatic rollback": {"", func(t *testing.T, h *timedHarness) error {
			h.Config.BakeTime = time.Second
			h.Progress = func(message string) {
				if strings.HasPrefix(message, "watching") {
					h.checker.isHealthy = func(id string, _ time.Duration) bool { return isIn(bluegreen.Green, id) }
				}
			}
			return deploy(t, h)
		}, []string{"Commit"}},
		"a reverted switch": {"AwaitTraffic", deploy, []string{"Commit", "Drain", "Remove"}},
		"a failed commit":   {"Commit", deploy, []string{"Load"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTimedHarness(t, alwaysHealthy)
				h.Config.DrainTimeout, h.Config.StopTimeout = 10*time.Minute, 2*time.Minute
				h.create(t)
				p := &deadlinePlatform{Platform: h.Platform, fails: c.method, limits: map[string]time.Duration{}}
				h.Platform = p
				if err := c.operate(t, h); err == nil {
					t.Fatal("the operation did not fail")
				}
				for _, call := range c.calls {
					if got := p.limits[call]; got != 13*time.Minute {
						t.Errorf("%s had %s, want 13m", call, got)
					}
				}
			})
		})
	}
}

// What had the traffic is drained before the next run removes it, even if the process
// died between putting the traffic back and draining.
func TestNextRunDrainsBeforeItRemoves(t *testing.T) {
	h := newHarness(t)
	reverting := false
	process := h.memory.Open(t, deployment)
	dying := platformtest.NewFaulty(process, func(_ int, method string) platformtest.Fault {
		switch {
		case method == "AwaitTraffic":
			return platformtest.Fails
		case reverting && method == "Drain":
			return platformtest.DiesBefore
		default:
			return ""
		}
	}, nil)
	h.Platform = dying
	h.Progress = func(message string) { reverting = reverting || strings.Contains(message, "putting the traffic back") }
	if err := h.DeployAndSwitch(t.Context(), h.release("3.0.0")); err == nil || !reverting {
		t.Fatalf("the switch was not reverted: %v", err)
	}
	process.Kill()
	h.Platform = h.faulty
	before := len(h.faulty.Calls())
	if err := h.DeployAndSwitch(t.Context(), h.release("4.0.0")); err != nil {
		t.Fatal(err)
	}
	calls := h.faulty.Calls()[before:]
	remove, drain := slices.Index(calls, "Remove"), slices.Index(calls, "Drain")
	if remove < 0 || drain < 0 || drain > remove {
		t.Errorf("the calls were %v", calls)
	}
}
