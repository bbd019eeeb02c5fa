// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestWatchLastsForTheBakeTime(t *testing.T) {
	const bake = 10 * time.Second
	for _, c := range []struct {
		name  string
		falls time.Duration
		rises time.Duration
		// threshold is the unhealthy threshold.
		threshold int
		stays     bool
		takes     time.Duration
	}{
		{"healthy throughout", time.Hour, 0, 3, true, bake},
		{"unhealthy after three seconds", 2500 * time.Millisecond, time.Hour, 3, false, 5 * time.Second},
		{"unhealthy for two probes", 2500 * time.Millisecond, 4500 * time.Millisecond, 3, true, bake},
		{"one failed probe is enough", 2500 * time.Millisecond, time.Hour, 1, false, 3 * time.Second},
		{"unhealthy at the end", 9500 * time.Millisecond, time.Hour, 3, false, 12 * time.Second},
		{
			"unhealthy at the end for one probe", 9500 * time.Millisecond, 10500 * time.Millisecond,
			3, true, 11 * time.Second,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTimedHarness(t, alwaysHealthy)
				h.create(t)
				h.checker.isHealthy = func(id string, since time.Duration) bool {
					return isIn(bluegreen.Green, id) || since < c.falls || since >= c.rises
				}
				h.Config.BakeTime, h.Config.UnhealthyThreshold = bake, c.threshold
				began := time.Now()
				err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0"))
				took := time.Since(began)
				want := "1.0.0"
				if c.stays {
					want = "2.0.0"
				}
				serves := h.memory.Serves(t, deployment)
				if (err == nil) != c.stays || serves != want || took.Round(time.Second) != c.takes {
					t.Errorf("after %s %s serves: %v; want %s after %s", took, serves, err, want, c.takes)
				}
			})
		})
	}
}

func TestBakeTimeShorterThanTheIntervalHasOneProbe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, alwaysHealthy)
		h.create(t)
		h.checker.isHealthy = func(id string, since time.Duration) bool {
			return isIn(bluegreen.Green, id) || since == 0
		}
		h.Config.BakeTime, h.Config.UnhealthyThreshold = 10*time.Millisecond, 1
		err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0"))
		if !errors.Is(err, bluegreen.HealthCheckFailed) || h.memory.Serves(t, deployment) != "1.0.0" {
			t.Errorf("%v, and %s serves", err, h.memory.Serves(t, deployment))
		}
	})
}

// pendingPlatform is a platform whose traffic does not arrive. begun is sent to when
// the engine begins to wait for it.
type pendingPlatform struct {
	bluegreen.Platform
	begun chan<- struct{}
}

func (p pendingPlatform) AwaitTraffic(ctx context.Context, _ bluegreen.Environment) error {
	p.begun <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

// An interrupt while a watch is resumed says nothing about the release, which stays live.
func TestInterruptWhileAWatchIsResumed(t *testing.T) {
	h := newHarness(t)
	h.Config.BakeTime = 1 << 40
	ctx, interrupt := context.WithCancel(t.Context())
	h.whenWatching(interrupt)
	if err := h.DeployAndSwitch(ctx, h.release("3.0.0")); !errors.Is(err, bluegreen.Interrupted) {
		t.Fatalf("got %v", err)
	}
	h.mustServe("3.0.0")

	begun := make(chan struct{}, 1)
	working := h.Platform
	h.Platform = pendingPlatform{working, begun}
	ctx, interrupt = context.WithCancel(t.Context())
	go func() { <-begun; interrupt() }()
	if _, err := h.Apply(ctx, h.ledger(), desired(h.release("3.0.0"))); !errors.Is(err, bluegreen.Interrupted) {
		t.Errorf("got %v", err)
	}
	h.mustServe("3.0.0")
	h.Platform, h.Config.BakeTime = working, 0
	if _, err := h.Apply(t.Context(), h.ledger(), desired(h.release("3.0.0"))); err != nil {
		t.Error(err)
	}
	h.mustServe("3.0.0")
}

// An automatic rollback whose traffic does not arrive does not say that traffic is back.
func TestAutomaticRollbackWhoseTrafficDoesNotArrive(t *testing.T) {
	h := newHarness(t)
	h.Config.BakeTime = 1 << 40
	working := h.Platform
	h.Progress = func(message string) {
		switch {
		case strings.HasPrefix(message, "watching"):
			h.memory.MakeUnhealthy(t, deployment, bluegreen.Green)
		case strings.HasPrefix(message, "rolling back"):
			h.Platform = misroutedPlatform{working}
		}
	}
	err := h.DeployAndSwitch(t.Context(), h.release("3.0.0"))
	if !matches(err, bluegreen.HealthCheckFailed, "traffic was switched back to 2.0.0 and has not reached it") {
		t.Errorf("got %v", err)
	}
}

// A watch is resumed, and traffic does not reach live. If the standby was removed or is
// not ready, the switch is not reverted.
func TestResumedWatchDoesNotRevertToABrokenStandby(t *testing.T) {
	for name, breakStandby := range map[string]func(*harness){
		"removed": func(h *harness) { h.memory.RemoveWorkload(deployment, bluegreen.Blue) },
		"not ready": func(h *harness) {
			h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Blue)
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.Config.BakeTime = 1 << 40
			ctx, interrupt := context.WithCancel(t.Context())
			h.whenWatching(interrupt)
			if err := h.DeployAndSwitch(ctx, h.release("3.0.0")); !errors.Is(err, bluegreen.Interrupted) {
				t.Fatal(err)
			}
			breakStandby(h)
			working := h.Platform
			h.Platform = misroutedPlatform{working}
			_, err := h.Apply(t.Context(), h.ledger(), desired(h.release("3.0.0")))
			if !matches(err, bluegreen.SwitchFailed, "cannot be put back to blue") {
				t.Errorf("got %v", err)
			}
			h.mustServe("3.0.0")
			h.Platform, h.Config.BakeTime = working, 0
			if _, err := h.Apply(t.Context(), h.ledger(), desired(h.release("3.0.0"))); err != nil {
				t.Error(err)
			}
			h.mustServe("3.0.0")
		})
	}
}

// cutWatch brings version live and interrupts its watch.
func (h *harness) cutWatch(version string) {
	h.Helper()
	ctx, interrupt := context.WithCancel(h.Context())
	h.Config.BakeTime = time.Hour
	h.whenWatching(interrupt)
	if err := h.DeployAndSwitch(ctx, h.release(version)); !errors.Is(err, bluegreen.Interrupted) {
		h.Fatal(err)
	}
	h.Config.BakeTime, h.Progress = 0, nil
}

// A watch that is due stays due when a later switch is reverted.
func TestRevertedSwitchKeepsTheWatchDue(t *testing.T) {
	h := newHarness(t)
	h.cutWatch("3.0.0")
	due := h.ledger().WatchDue
	working := h.Platform
	h.Platform = misroutedPlatform{working}
	if err := h.DeployAndSwitch(t.Context(), h.release("4.0.0")); !errors.Is(err, bluegreen.SwitchFailed) {
		t.Fatal(err)
	}
	h.Platform = working
	h.mustServe("3.0.0")
	if got := h.ledger().WatchDue; got != due || due == "" {
		t.Errorf("the watch of %q is due, want that of %q", got, due)
	}
}

// A watch is resumed beside a preview, and the traffic does not arrive. The switch cannot
// be reverted, because the preview has taken the place of the standby. Both stay.
func TestResumedWatchBesideAPreviewRevertsNothing(t *testing.T) {
	h := newHarness(t)
	h.cutWatch("3.0.0")
	preview := desired(h.release("4.0.0"))
	preview.Promote = false
	if _, err := h.Apply(t.Context(), h.ledger(), preview); err != nil {
		t.Fatal(err)
	}
	working := h.Platform
	h.Platform = misroutedPlatform{working}
	_, err := h.Apply(t.Context(), h.ledger(), desired(h.release("3.0.0")))
	if !matches(err, bluegreen.SwitchFailed, "is not the standby any more") ||
		strings.Contains(err.Error(), "invalid") {
		t.Errorf("got %v", err)
	}
	h.Platform = working
	h.mustServe("3.0.0")
	if l := h.ledger(); l.Slot(l.Staging()).State != bluegreen.Ready {
		t.Errorf("the preview is %+v", l.Slot(l.Staging()))
	}
}

// The error of a first release that fails its watch does not say that it stays live.
func TestFirstReleaseThatFailsItsWatchDoesNotStay(t *testing.T) {
	h := newHarness(t)
	if err := h.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.Config.BakeTime, h.Config.ProbeInterval = time.Hour, time.Millisecond
	h.whenWatching(func() { h.memory.MakeUnhealthy(t, deployment, bluegreen.Green) })
	_, err := h.Create(t.Context(), desired(h.release("1.0.0")))
	if !errors.Is(err, bluegreen.HealthCheckFailed) || strings.Contains(err.Error(), "stays live") {
		t.Errorf("got %v", err)
	}
	if _, err := h.Status(t.Context()); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("the deployment is left: %v", err)
	}
}
