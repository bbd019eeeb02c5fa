// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// rebootMachine creates a deployment with 2.0.0 live and 1.0.0 as the standby, and restarts
// the machine. Its replicas are started after some seconds, and are healthy some seconds
// later.
func rebootMachine(t *testing.T, prepare func(*timedHarness)) *timedHarness {
	h := newTimedHarness(t, alwaysHealthy)
	h.create(t)
	if err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0")); err != nil {
		t.Fatal(err)
	}
	prepare(h)
	h.memory.Reboot(deployment)
	h.checker.start = time.Now()
	h.checker.isHealthy = func(_ string, since time.Duration) bool { return since > 8*time.Second }
	time.AfterFunc(5*time.Second, func() { h.memory.StartAll(deployment) })
	return h
}

// The first operation after a restart of the machine may be a rollback. It waits for what
// is being started.
func TestRollbackRightAfterARestartOfTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := rebootMachine(t, func(*timedHarness) {})
		if err := h.Rollback(t.Context(), "2.0.0 is bad"); err != nil {
			t.Error(err)
		}
		if serves := h.memory.Serves(t, deployment); serves != "1.0.0" {
			t.Errorf("%s serves", serves)
		}
	})
}

// Replicas that are never started do not hold a rollback for longer than switch_timeout.
func TestRollbackDoesNotWaitForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := rebootMachine(t, func(*timedHarness) {})
		h.Config.SwitchTimeout = 4 * time.Second
		began := time.Now()
		err := h.Rollback(t.Context(), "2.0.0 is bad")
		if !matches(err, bluegreen.RollbackFailed, "replica green-1 has not been started yet") {
			t.Errorf("got %v", err)
		}
		if took := time.Since(began); took != h.Config.SwitchTimeout {
			t.Errorf("it took %s", took)
		}
	})
}

// A promote waits too, and does not lose the preview.
func TestPromoteRightAfterARestartOfTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := bluegreen.Desired{}
		h := rebootMachine(t, func(h *timedHarness) {
			want = desired(fourReplicas(h.memory, "3.0.0"))
			want.Promote = false
			status, err := h.Status(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if _, err := h.Apply(t.Context(), status.Ledger, want); err != nil {
				t.Fatal(err)
			}
		})
		want.Promote = true
		status, err := h.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Apply(t.Context(), status.Ledger, want); err != nil {
			t.Error(err)
		}
		if serves := h.memory.Serves(t, deployment); serves != "3.0.0" {
			t.Errorf("%s serves", serves)
		}
	})
}

// The watch that is resumed after a restart of the machine judges the runs of now. That
// they are other ones than before is not the release's fault.
func TestResumedWatchDoesNotCountTheRestartOfTheMachine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, alwaysHealthy)
		h.create(t)
		h.Config.BakeTime = 10 * time.Second
		ctx, interrupt := context.WithCancel(t.Context())
		h.Progress = func(message string) {
			if strings.HasPrefix(message, "watching") {
				interrupt()
			}
		}
		if err := h.DeployAndSwitch(ctx, fourReplicas(h.memory, "2.0.0")); !errors.Is(err, bluegreen.Interrupted) {
			t.Fatal(err)
		}
		h.Progress = nil
		h.memory.Reboot(deployment)
		h.memory.StartAll(deployment)
		status, err := h.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.Apply(t.Context(), status.Ledger, desired(fourReplicas(h.memory, "2.0.0"))); err != nil {
			t.Error(err)
		}
		if serves := h.memory.Serves(t, deployment); serves != "2.0.0" {
			t.Errorf("%s serves", serves)
		}
	})
}
