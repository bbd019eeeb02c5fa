// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// rollBackByWatch returns a deployment whose watch has taken back its release 3.0.0.
func rollBackByWatch(t *testing.T) *harness {
	h := newHarness(t)
	h.Config.BakeTime, h.Config.ProbeInterval = time.Hour, time.Millisecond
	h.whenWatching(func() { h.memory.MakeUnhealthy(t, deployment, bluegreen.Green) })
	if err := h.apply("3.0.0"); !errors.Is(err, bluegreen.HealthCheckFailed) {
		t.Fatal(err)
	}
	h.mustServe("2.0.0")
	h.Config.BakeTime = 0
	return h
}

// The next run of a pipeline does not deploy again what the watch took back.
func TestReleaseThatAWatchTookBackIsNotDeployedAgain(t *testing.T) {
	h := rollBackByWatch(t)
	for range 2 {
		before := h.ledger()
		err := h.apply("3.0.0")
		if !matches(err, bluegreen.InvalidState, "the release of deploy-3 was rolled back at",
			"by the watch after its switch", "2 of 2 replicas unhealthy") {
			t.Fatalf("got %v", err)
		}
		if after := h.ledger(); after.Generation != before.Generation {
			t.Error("the ledger was written")
		}
		h.mustServe("2.0.0")
	}
	var rolledBack *bluegreen.RolledBackError
	_, err := h.ledger().Next(desired(h.release("3.0.0")), nil)
	if !errors.As(err, &rolledBack) || rolledBack.Record != "deploy-3" ||
		rolledBack.Rollback.Origin != bluegreen.FromWatch {
		t.Errorf("the plan says %v", err)
	}
	preview := desired(h.release("3.0.0"))
	preview.Promote = false
	if _, err := h.ledger().Next(preview, nil); !errors.As(err, &rolledBack) {
		t.Errorf("the plan of a preview says %v", err)
	}
}

func TestThreeWaysOnAfterARollback(t *testing.T) {
	t.Run("keep the rollback", func(t *testing.T) {
		h := rollBackByWatch(t)
		want := desired(h.release("3.0.0"))
		want.Rollback = true
		if _, err := h.Apply(t.Context(), h.ledger(), want); err != nil {
			t.Error(err)
		}
		h.mustServe("2.0.0")
	})
	t.Run("retry", func(t *testing.T) {
		h := rollBackByWatch(t)
		want := desired(h.release("3.0.0"))
		for _, other := range []string{"deploy-2", "rollback-4", "3.0.0"} {
			want.Retry = other
			if _, err := h.Apply(t.Context(), h.ledger(), want); !errors.Is(err, bluegreen.InvalidState) {
				t.Errorf("retry %s: %v", other, err)
			}
		}
		want.Retry = "deploy-3"
		// Its cause is mended: a new run of it is healthy.
		h.memory.RemoveWorkload(deployment, bluegreen.Green)
		if _, err := h.Apply(t.Context(), h.ledger(), want); err != nil {
			t.Error(err)
		}
		h.mustServe("3.0.0")
		// It may be tried once: an operator takes it back, and it is held again.
		if err := h.Rollback(t.Context(), "still bad"); err != nil {
			t.Fatal(err)
		}
		_, err := h.Apply(t.Context(), h.ledger(), want)
		if !matches(err, bluegreen.InvalidState, "the release of deploy-5", "by ann@host (pid 1): still bad") {
			t.Errorf("got %v", err)
		}
		h.mustServe("2.0.0")
	})
	t.Run("another release", func(t *testing.T) {
		h := rollBackByWatch(t)
		if err := h.apply("4.0.0"); err != nil {
			t.Fatal(err)
		}
		// Another release has been live, so 3.0.0 may be deployed again.
		if err := h.apply("3.0.0"); err != nil {
			t.Fatal(err)
		}
		h.mustServe("3.0.0")
	})
}

// A release is held until another one has been live. One that failed before it went live
// does not end the hold.
func TestFailedReleaseDoesNotEndTheHold(t *testing.T) {
	h := rollBackByWatch(t)
	h.Config.HealthCheckRetries = 0
	bad := desired(h.memory.Release("4.0.0", "unhealthy"))
	if _, err := h.Apply(t.Context(), h.ledger(), bad); !errors.Is(err, bluegreen.HealthCheckFailed) {
		t.Fatal(err)
	}
	if err := h.apply("3.0.0"); !errors.Is(err, bluegreen.InvalidState) {
		t.Errorf("got %v", err)
	}
	if rolledBack, ok := h.ledger().RolledBack(); !ok || rolledBack.Version != "3.0.0" {
		t.Errorf("the record of what was rolled back is %+v", rolledBack)
	}
	h.mustServe("2.0.0")
}

// A rollback that the configuration asked for goes forward when it does so no more.
func TestConfiguredRollbackIsNotHeld(t *testing.T) {
	h := newHarness(t)
	want := desired(h.release("2.0.0"))
	want.Rollback = true
	if _, err := h.Apply(t.Context(), h.ledger(), want); err != nil {
		t.Fatal(err)
	}
	h.mustServe("1.0.0")
	if err := h.apply("2.0.0"); err != nil {
		t.Error(err)
	}
	h.mustServe("2.0.0")
}

// A rollback of an earlier version has no origin. It holds nothing, as it was then.
func TestRollbackOfAnEarlierVersionHoldsNothing(t *testing.T) {
	h := rollBackByWatch(t)
	l := h.ledger()
	l.Schema = 1
	for i := range l.Records {
		l.Records[i].Origin = ""
	}
	if err := l.Validate(); err != nil {
		t.Fatal(err)
	}
	steps, err := l.Next(desired(h.release("3.0.0")), map[bluegreen.Environment]int{bluegreen.Blue: 2})
	if err != nil || len(steps) != 1 || steps[0] != bluegreen.StepDeployAndSwitch {
		t.Errorf("the steps are %v, %v", steps, err)
	}
}
