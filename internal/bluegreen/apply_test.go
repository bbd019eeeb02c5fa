// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"errors"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

func TestRollbackIsOneCommit(t *testing.T) {
	h := newHarness(t)
	planned := h.ledger()
	want := desired(h.release("2.0.0"))
	want.Rollback = true
	if n := h.commitsOf(func() {
		if _, err := h.Apply(t.Context(), planned, want); err != nil {
			t.Fatal(err)
		}
	}); n != 1 {
		t.Errorf("a rollback takes %d commits", n)
	}
	h.mustServe("1.0.0")
}

func TestSettingsAloneAreOneCommit(t *testing.T) {
	h := newHarness(t)
	planned := h.ledger()
	h.Config.HistoryLimit = 5
	if n := h.commitsOf(func() {
		if _, err := h.Apply(t.Context(), planned, desired(h.release("2.0.0"))); err != nil {
			t.Fatal(err)
		}
	}); n != 1 {
		t.Errorf("settings take %d commits", n)
	}
	if got := h.ledger().HistoryLimit; got != 5 {
		t.Errorf("the history limit is %d", got)
	}
}

func TestFailureToRemoveTheStandbyIsAWarning(t *testing.T) {
	for _, fails := range []string{"Drain", "Remove"} {
		h := newHarness(t)
		planned := h.ledger()
		want := desired(h.release("2.0.0"))
		want.KeepStandby = false
		h.fails = fails
		warnings, err := h.Apply(t.Context(), planned, want)
		warning := errors.Join(warnings...)
		if err != nil || len(warnings) != 1 ||
			!errors.Is(warning, platformtest.ErrInjected) || !errors.Is(warning, bluegreen.DeployFailed) {
			t.Errorf("%s fails: warnings %v, error %v", fails, warnings, err)
		}
		h.mustServe("2.0.0")
		h.fails = ""
		// The next run finishes it.
		if _, err := h.Apply(t.Context(), h.ledger(), want); err != nil {
			t.Fatal(err)
		}
		if left, err := h.faulty.Instances(t.Context(), bluegreen.Green); err != nil || len(left) != 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	}
}

func TestStalePlanSaysWhatChanged(t *testing.T) {
	h := newHarness(t)
	planned := h.ledger()
	other := planned
	other.Generation--
	_, err := h.Apply(t.Context(), other, desired(h.release("3.0.0")))
	if !matches(err, bluegreen.ErrPlanStale, "the deployment was changed after the plan was made") {
		t.Errorf("got %v", err)
	}
	_, err = h.Apply(t.Context(), bluegreen.NewLedger(deployment), desired(h.release("3.0.0")))
	if !matches(err, bluegreen.ErrPlanStale, "nothing was live when it was made, and blue is live now") {
		t.Errorf("got %v", err)
	}
	if err := h.Rollback(t.Context(), "bad"); err != nil {
		t.Fatal(err)
	}
	_, err = h.Apply(t.Context(), planned, desired(h.release("3.0.0")))
	if !matches(err, bluegreen.ErrPlanStale, "blue was live when it was made, and green is live now") {
		t.Errorf("got %v", err)
	}
	if err := h.DeployAndSwitch(t.Context(), h.release("4.0.0")); err != nil {
		t.Fatal(err)
	}
	_, err = h.Apply(t.Context(), planned, desired(h.release("3.0.0")))
	if !matches(err, bluegreen.ErrPlanStale, "another release is live in blue") {
		t.Errorf("got %v", err)
	}
	h.mustServe("4.0.0")
}
