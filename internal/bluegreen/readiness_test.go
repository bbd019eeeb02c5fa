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

func TestPlatformMustHoldAReleaseReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.memory.Judge(deployment, bluegreen.Verdict{"ready": errStarting})
		begin := time.Now()
		time.AfterFunc(5*time.Second, func() { b.memory.Judge(deployment, bluegreen.Verdict{"ready": nil}) })
		if err := b.DeployAndSwitch(t.Context(), b.release("3.0.0")); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("it was switched after %s", took)
		}
		record, _ := b.ledger().LiveRecord()
		if !record.Health.Details["green-1 ready"] || !record.Health.Details["green-1 state"] {
			t.Errorf("the evidence is %+v", record.Health)
		}
		b.serves("3.0.0")
	})
}

func TestReleaseThatThePlatformHoldsBackFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.memory.Judge(deployment, bluegreen.Verdict{"ready": errStarting})
		err := b.DeployAndSwitch(t.Context(), b.release("3.0.0"))
		if !errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), "green-1: ready: it is starting") {
			t.Errorf("got %v", err)
		}
		b.serves("2.0.0")
	})
}

func TestWatchHeedsThePlatform(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t)
		b.Config.BakeTime = time.Hour
		b.Progress = func(message string) {
			if strings.HasPrefix(message, "watching") {
				b.memory.Judge(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Green)
			}
		}
		err := b.DeployAndSwitch(t.Context(), b.release("3.0.0"))
		if !errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), "traffic is back on 2.0.0") {
			t.Errorf("got %v", err)
		}
		b.serves("2.0.0")
	})
}

func TestNobodyWaitsForThePlatformOnceACheckHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, memory, _ := clinic(t, func(string, time.Duration) bool { return false })
		d.Config.HealthCheckRetries = 0
		memory.Judge(deployment, bluegreen.Verdict{"ready": errStarting})
		begin := time.Now()
		if _, err := d.Create(t.Context(), desired(four(memory, "1.0.0"))); !errors.Is(err, bluegreen.HealthCheckFailed) {
			t.Fatal(err)
		}
		if took := time.Since(begin); took != d.Config.HealthCheckTimeout {
			t.Errorf("it took %s", took)
		}
	})
}

func TestRollbackNeedsAStandbyThatThePlatformHoldsReady(t *testing.T) {
	b := newBench(t)
	b.memory.Judge(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Green)
	err := b.Rollback(t.Context(), "bad")
	if !errors.Is(err, bluegreen.RollbackFailed) || !strings.Contains(err.Error(), "0 of 2 replicas of the standby can take the traffic: replica green-2 is not ready") {
		t.Errorf("got %v", err)
	}
	b.serves("2.0.0")
	b.memory.Judge(deployment, bluegreen.Verdict{"ready": nil})
	if err := b.Rollback(t.Context(), "bad"); err != nil {
		t.Fatal(err)
	}
	b.serves("1.0.0")
}

func TestPlatformAloneIsNoHealthCheck(t *testing.T) {
	b := newBench(t)
	b.memory.Judge(deployment, bluegreen.Verdict{"ready": nil})
	b.Checker = silent{}
	b.Config.HealthCheckRetries = 0
	if err := b.DeployAndSwitch(t.Context(), b.release("3.0.0")); !errors.Is(err, bluegreen.HealthCheckFailed) {
		t.Errorf("got %v", err)
	}
	b.serves("2.0.0")
}

// silent is a checker without a single check.
type silent struct{}

func (silent) Await(context.Context, bluegreen.Target) bluegreen.Verdict { return nil }

func (silent) Probe(context.Context, bluegreen.Target) bluegreen.Verdict { return nil }
