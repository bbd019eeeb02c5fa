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

func TestRollbackWhoseTrafficDoesNotArriveIsReverted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, alwaysHealthy)
		h.create(t)
		if err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0")); err != nil {
			t.Fatal(err)
		}
		working := h.Platform
		h.Platform = slowPlatform{working, time.Hour}
		if err := h.Rollback(t.Context(), "slow"); !errors.Is(err, bluegreen.Timeout) {
			t.Errorf("got %v, want a timeout", err)
		}
		if got := h.memory.Serves(t, deployment); got != "2.0.0" {
			t.Errorf("%s serves", got)
		}
		h.Platform = working
		if err := h.Rollback(t.Context(), "slow"); err != nil || h.memory.Serves(t, deployment) != "1.0.0" {
			t.Errorf("%v, and %s serves", err, h.memory.Serves(t, deployment))
		}
	})
}

// A rollback does not move the clients to a standby that does not work.
func TestRollbackToAnUnhealthyStandbyIsRefused(t *testing.T) {
	h := newHarness(t)
	h.memory.MakeUnhealthy(t, deployment, bluegreen.Green)
	before := h.ledger()
	err := h.Rollback(t.Context(), "2.0.0 is bad")
	if !matches(err, bluegreen.RollbackFailed, "the standby is not healthy", "2 of 2 replicas unhealthy",
		`replica green-1: state: it says "unhealthy"`, `replica green-2: state: it says "unhealthy"`) {
		t.Errorf("got %v", err)
	}
	h.mustServe("2.0.0")
	if after := h.ledger(); after.Generation != before.Generation {
		t.Error("the ledger was written")
	}
	h.Config.RollbackCheck = false
	if err := h.Rollback(t.Context(), "2.0.0 is worse"); err != nil {
		t.Error(err)
	}
	h.mustServe("1.0.0")
}

// An automatic rollback does not move the clients from one broken release to another.
func TestAutomaticRollbackToAnUnhealthyStandbyIsRefused(t *testing.T) {
	h := newHarness(t)
	h.Config.BakeTime, h.Config.ProbeInterval = time.Hour, time.Millisecond
	h.whenWatching(func() {
		h.memory.MakeUnhealthy(t, deployment, bluegreen.Blue)
		h.memory.MakeUnhealthy(t, deployment, bluegreen.Green)
	})
	err := h.DeployAndSwitch(t.Context(), h.release("3.0.0"))
	if !matches(err, bluegreen.HealthCheckFailed, "replica green-1: state", "3.0.0 stays live",
		"the standby is not healthy", "replica blue-1: state") {
		t.Errorf("got %v", err)
	}
	h.mustServe("3.0.0")
}

// An interrupt does not give the traffic back to the release that a rollback replaces.
func TestInterruptedRollbackIsSeenThrough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, alwaysHealthy)
		h.create(t)
		if err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0")); err != nil {
			t.Fatal(err)
		}
		h.Platform = slowPlatform{h.Platform, 10 * time.Second}
		ctx, interrupt := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, interrupt)
		if err := h.Rollback(ctx, "2.0.0 is bad"); err != nil {
			t.Error(err)
		}
		if got := h.memory.Serves(t, deployment); got != "1.0.0" {
			t.Errorf("%s serves", got)
		}
	})
}

// Kubernetes replaces the standby's pods one by one after a switch. A rollback right then is
// not refused because a pod went while it was probed.
func TestRollbackWhileAnInstanceIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, alwaysHealthy)
		h.create(t)
		if err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0")); err != nil {
			t.Fatal(err)
		}
		isReplaced := false
		h.checker.isHealthy = func(id string, _ time.Duration) bool {
			if id != "green-1" || isReplaced {
				return true
			}
			isReplaced = true
			h.memory.Restart(deployment, id, "")
			return false
		}
		if err := h.Rollback(t.Context(), "2.0.0 is bad"); err != nil {
			t.Error(err)
		}
		if got := h.memory.Serves(t, deployment); got != "1.0.0" || !isReplaced {
			t.Errorf("%s serves; an instance was replaced: %v", got, isReplaced)
		}
	})
}
