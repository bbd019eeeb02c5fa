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

var errStarting = errors.New("it is starting")

func TestSwitchWaitsForThePlatformsReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting})
		begin := time.Now()
		time.AfterFunc(5*time.Second, func() { h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": nil}) })
		if err := h.DeployAndSwitch(t.Context(), h.release("3.0.0")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("it was switched after %s", took)
		}
		record, _ := h.ledger().LiveRecord()
		if !record.Health.Details["green-1 ready"] || !record.Health.Details["green-1 state"] {
			t.Errorf("the evidence is %+v", record.Health)
		}
		h.mustServe("3.0.0")
	})
}

func TestReleaseThatIsNotReadyFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting})
		err := h.DeployAndSwitch(t.Context(), h.release("3.0.0"))
		if !matches(err, bluegreen.HealthCheckFailed, "green-1: ready: it is starting") {
			t.Errorf("got %v", err)
		}
		h.mustServe("2.0.0")
	})
}

func TestReleaseThatIsNotReadyAnyMoreIsRolledBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHarness(t)
		h.Config.BakeTime = time.Hour
		h.Progress = func(message string) {
			if strings.HasPrefix(message, "watching") {
				h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Green)
			}
		}
		err := h.DeployAndSwitch(t.Context(), h.release("3.0.0"))
		if !matches(err, bluegreen.HealthCheckFailed, "traffic is back on 2.0.0") {
			t.Errorf("got %v", err)
		}
		h.mustServe("2.0.0")
	})
}

func TestFailedCheckDoesNotWaitForReadiness(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, func(string, time.Duration) bool { return false })
		h.Config.HealthCheckRetries = 0
		h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting})
		begin := time.Now()
		_, err := h.Create(t.Context(), desired(fourReplicas(h.memory, "1.0.0")))
		if !errors.Is(err, bluegreen.HealthCheckFailed) {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != h.Config.HealthCheckTimeout {
			t.Errorf("it took %s", took)
		}
	})
}

func TestRollbackNeedsAReadyStandby(t *testing.T) {
	h := newHarness(t)
	h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Green)
	err := h.Rollback(t.Context(), "bad")
	want := "0 of 2 replicas of the standby can take the traffic: " +
		"replica green-1 is not ready: the platform says so; replica green-2 is not ready"
	if !matches(err, bluegreen.RollbackFailed, want) {
		t.Errorf("got %v", err)
	}
	h.mustServe("2.0.0")
	h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": nil})
	if err := h.Rollback(t.Context(), "bad"); err != nil {
		t.Fatal(err)
	}
	h.mustServe("1.0.0")
}

func TestRollbackWithoutItsCheckGoesToAnUnreadyStandby(t *testing.T) {
	h := newHarness(t)
	h.Config.RollbackCheck = false
	h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Green)
	if err := h.Rollback(t.Context(), "bad"); err != nil {
		t.Fatal(err)
	}
	h.mustServe("1.0.0")
}

func TestReadinessAloneIsNoHealthCheck(t *testing.T) {
	h := newHarness(t)
	h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": nil})
	h.Checker = checkerWithoutChecks{}
	h.Config.HealthCheckRetries = 0
	if err := h.DeployAndSwitch(t.Context(), h.release("3.0.0")); !errors.Is(err, bluegreen.HealthCheckFailed) {
		t.Errorf("got %v", err)
	}
	h.mustServe("2.0.0")
}

// checkerWithoutChecks is a checker that has no check.
type checkerWithoutChecks struct{}

func (checkerWithoutChecks) Await(context.Context, bluegreen.Target) bluegreen.Verdict { return nil }

func (checkerWithoutChecks) Probe(context.Context, bluegreen.Target) bluegreen.Verdict { return nil }
