// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"errors"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

func TestNextCreateFinishesAFailedCleanup(t *testing.T) {
	h := newHarness(t)
	if err := h.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.fails = "Erase"
	_, err := h.Create(t.Context(), desired(h.memory.Release("1.0.0", platformtest.Crashing)))
	if !errors.Is(err, bluegreen.HealthCheckFailed) ||
		!matches(err, platformtest.ErrInjected, "the next run finishes it") {
		t.Errorf("the error is %v", err)
	}
	h.fails = ""
	if _, err := h.Create(t.Context(), desired(h.release("1.0.1"))); err != nil {
		t.Error(err)
	}
	h.mustServe("1.0.1")
}

func TestCreateCannotRollBack(t *testing.T) {
	h := newHarness(t)
	want := desired(h.release("1.0.0"))
	want.Rollback = true
	_, err := h.Create(t.Context(), want)
	if !errors.Is(err, bluegreen.ErrNothingToRollBackTo) || !errors.Is(err, bluegreen.RollbackFailed) {
		t.Errorf("got %v", err)
	}
}
