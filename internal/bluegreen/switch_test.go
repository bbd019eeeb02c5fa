// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// slowPlatform is a platform whose traffic arrives after a time.
type slowPlatform struct {
	bluegreen.Platform
	arrives time.Duration
}

func (s slowPlatform) AwaitTraffic(ctx context.Context, _ bluegreen.Environment) error {
	select {
	case <-time.After(s.arrives):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestSwitchTimeout(t *testing.T) {
	for arrives, want := range map[time.Duration]string{59 * time.Second: "2.0.0", 61 * time.Second: "1.0.0"} {
		synctest.Test(t, func(t *testing.T) {
			h := newTimedHarness(t, alwaysHealthy)
			h.create(t)
			h.Platform = slowPlatform{h.Platform, arrives}
			err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0"))
			if got := h.memory.Serves(t, deployment); got != want || (err != nil) != (want == "1.0.0") {
				t.Errorf("traffic arrives after %s: %v, and %s serves", arrives, err, got)
			}
			if err != nil && (!matches(err, bluegreen.Timeout, "is back where it was")) {
				t.Errorf("the error does not say what happened: %v", err)
			}
			if err := h.Rollback(t.Context(), "back"); want == "1.0.0" && !errors.Is(err, bluegreen.RollbackFailed) {
				t.Errorf("there was nothing to roll back to: %v", err)
			}
		})
	}
}

// Replicas may exit between the check and the switch, as long as enough are left.
func TestSwitchNeedsEnoughInstancesThatPassed(t *testing.T) {
	for left, switches := range map[int]bool{4: true, 2: true, 1: false} {
		h := newHarness(t)
		h.Config.MinHealthyPercent = 50
		if _, err := h.Deploy(t.Context(), fourReplicas(h.memory, "3.0.0")); err != nil {
			t.Fatal(err)
		}
		if _, err := h.HealthCheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		shell := h.memory.Open(t, deployment)
		unlock, err := shell.Lock(t.Context(), "an operator with a shell")
		if err != nil {
			t.Fatal(err)
		}
		if err := shell.Scale(t.Context(), bluegreen.Green, left); err != nil {
			t.Fatal(err)
		}
		unlock()
		err = h.Switch(t.Context())
		if (err == nil) != switches || (err != nil && !errors.Is(err, bluegreen.SwitchFailed)) {
			t.Errorf("%d of 4 are left: %v", left, err)
		}
	}
}

// Half of the replicas passed while half were enough. Now all are needed.
func TestSwitchCountsThoseThatPassed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, alwaysHealthy)
		h.create(t)
		h.checker.isHealthy = func(id string, _ time.Duration) bool { return id == "blue-1" || id == "blue-2" }
		h.Config.MinHealthyPercent = 50
		if _, err := h.Deploy(t.Context(), fourReplicas(h.memory, "2.0.0")); err != nil {
			t.Fatal(err)
		}
		if _, err := h.HealthCheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.Config.MinHealthyPercent = 100
		err := h.Switch(t.Context())
		if !matches(err, bluegreen.SwitchFailed, "2 of 4 replicas have passed the health check, 4 are needed") {
			t.Errorf("got %v", err)
		}
	})
}
