// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
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
