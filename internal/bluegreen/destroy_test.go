// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"errors"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

func TestApplyAfterAnInterruptedDestroy(t *testing.T) {
	h := newHarness(t)
	planned := h.ledger()
	h.fails = "Erase"
	if err := h.Destroy(t.Context()); !errors.Is(err, platformtest.ErrInjected) {
		t.Fatal(err)
	}
	h.mustServe("")
	_, err := h.Apply(t.Context(), planned, desired(h.release("3.0.0")))
	if !matches(err, bluegreen.ErrPlanStale, "was live when it was made, and nothing is live now") {
		t.Errorf("got %v, want a stale plan", err)
	}
	if err := h.DeployAndSwitch(t.Context(), h.release("3.0.0")); !errors.Is(err, bluegreen.InvalidState) {
		t.Errorf("got %v, want an invalid state", err)
	}
	if _, err := h.Apply(t.Context(), h.ledger(), desired(h.release("3.0.0"))); err != nil {
		t.Fatal(err)
	}
	h.mustServe("3.0.0")
	if l := h.ledger(); l.Sequence != 1 || l.Destroying {
		t.Errorf("the ledger is %+v", l)
	}
}

func TestDestroyOfAMissingDeployment(t *testing.T) {
	h := newHarness(t)
	for range 2 {
		if err := h.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	h.mustServe("")
}
