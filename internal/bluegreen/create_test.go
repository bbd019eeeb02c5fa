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

// The create is complete, and the platform dies with the answer to the last commit. The error says
// that it may be complete.
func TestCreateWhoseLastAnswerIsLost(t *testing.T) {
	t.Parallel()
	type injector func(n int, method string) platformtest.Fault
	create := func(memory *platformtest.Memory, inject injector) ([]string, error) {
		faulty := platformtest.NewFaulty(memory.Open(t, deployment), inject, nil)
		d := bluegreen.NewDeployer(deployment, faulty, memory.Checker(), "ann")
		_, err := d.Create(t.Context(), desired(memory.Release("1.0.0", platformtest.Healthy)))
		return faulty.Calls(), err
	}
	calls, err := create(platformtest.NewMemory(), nil)
	if err != nil {
		t.Fatal(err)
	}
	last := 0
	for i, method := range calls {
		if method == "Commit" {
			last = i + 1
		}
	}
	memory := platformtest.NewMemory()
	_, err = create(memory, func(n int, _ string) platformtest.Fault {
		switch {
		case n == last:
			return platformtest.AnswerLost
		case n > last:
			return platformtest.Fails
		default:
			return ""
		}
	})
	if !errors.Is(err, bluegreen.ErrCreateUnconfirmed) {
		t.Errorf("the create ended with %v", err)
	}
	ledger, err := memory.Open(t, deployment).Load(t.Context())
	if err != nil || !ledger.Created {
		t.Errorf("the ledger is %+v: %v", ledger, err)
	}
}
