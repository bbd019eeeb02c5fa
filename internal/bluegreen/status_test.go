// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestStatusSaysWhetherARollbackIsPossible(t *testing.T) {
	h := newHarness(t)
	status, err := h.Status(t.Context())
	if err != nil || status.Running[bluegreen.Blue] != 2 || status.Running[bluegreen.Green] != 2 ||
		status.Endpoint == "" || status.Preview == "" {
		t.Fatalf("%+v, %v", status, err)
	}
	for percent, running := range map[int]int{100: 2, 50: 1, 1: 1} {
		status.Running[bluegreen.Green] = running
		if !status.CanRollBack(percent) {
			t.Errorf("with %d of 2 running and %d %% needed, no rollback is possible", running, percent)
		}
		status.Running[bluegreen.Green] = running - 1
		if status.CanRollBack(percent) {
			t.Errorf("with %d of 2 running and %d %% needed, a rollback is possible", running-1, percent)
		}
		// One of those that run is not ready.
		status.Running[bluegreen.Green], status.Unready = running, map[bluegreen.Environment]int{bluegreen.Green: 1}
		if status.CanRollBack(percent) {
			t.Errorf("with one of %d not ready and %d %% needed, a rollback is possible", running, percent)
		}
		status.Unready = nil
	}
	if err := h.CleanupStaging(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, err = h.Status(t.Context()); err != nil || status.CanRollBack(1) {
		t.Errorf("a rollback without a standby is possible: %+v, %v", status, err)
	}
}

// What blocks a rollback is said: by the ledger, or by each replica that is not healthy.
func TestStatusSaysWhatBlocksARollback(t *testing.T) {
	h := newHarness(t)
	mustBeBlockedBy := func(want string) {
		t.Helper()
		status, err := h.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := status.RollbackBlocked(100); got == nil || got.Error() != want {
			t.Errorf("the rollback is blocked by %v, not by %q", got, want)
		}
	}
	h.Mask = func(text string) string { return strings.ReplaceAll(text, "signal", "***") }
	h.memory.Exit(deployment, "green-1", "signal: killed")
	mustBeBlockedBy("1 of 2 replicas of the standby can take the traffic: replica green-1 exited: ***: killed")
	if err := h.CleanupStaging(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustBeBlockedBy("the release before this one (deploy-1) is no longer in green: it is empty")
}

// An instance in an empty environment counts, so that a plan shows it as drift. One in the
// standby counts only if it can receive traffic.
func TestInstanceThatCannotReceiveTrafficIsCounted(t *testing.T) {
	none := func([]bluegreen.InstanceRef, bluegreen.InstanceRef) bool { return false }
	empty := bluegreen.Slot{State: bluegreen.Idle}
	if !empty.IsCounted(bluegreen.InstanceRef{ID: "green-1"}, none) {
		t.Error("an instance in an empty environment does not count")
	}
	standby := bluegreen.Slot{State: bluegreen.Idle, Release: &bluegreen.Release{}}
	if standby.IsCounted(bluegreen.InstanceRef{ID: "green-1"}, none) {
		t.Error("an instance of the standby counts that cannot receive traffic")
	}
}
