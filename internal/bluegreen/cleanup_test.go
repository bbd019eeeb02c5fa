// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"errors"
	"slices"
	"testing"

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
