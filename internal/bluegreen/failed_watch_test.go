// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// An apply whose time is over while live fails its probes fails. It does not say that
// live was healthy.
func TestCutWatchOfAnUnhealthyReleaseFails(t *testing.T) {
	for name, create := range map[string]bool{"create": true, "update": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTimedHarness(t, alwaysHealthy)
				want := "2.0.0"
				if create {
					want = ""
				} else {
					h.create(t)
				}
				h.Config.BakeTime, h.Config.UnhealthyThreshold = 10*time.Second, 20
				h.Progress = func(message string) {
					if strings.HasPrefix(message, "watching") {
						h.checker.isHealthy = func(string, time.Duration) bool { return false }
					}
				}
				ctx, cancel := context.WithTimeout(t.Context(), 5500*time.Millisecond)
				defer cancel()
				var err error
				if create {
					_, err = h.Create(ctx, desired(fourReplicas(h.memory, "1.0.0")))
				} else {
					err = h.DeployAndSwitch(ctx, fourReplicas(h.memory, "2.0.0"))
				}
				if !matches(err, bluegreen.HealthCheckFailed,
					"out of time; the last 5 of 5 probes of live failed", "503") {
					t.Errorf("got %v", err)
				}
				if serves := h.memory.Serves(t, deployment); serves != want {
					t.Errorf("%q serves, want %q", serves, want)
				}
				if create {
					return
				}
				status, err := h.Status(t.Context())
				if err != nil || status.Ledger.WatchDue == "" {
					t.Errorf("no watch is due: %+v, %v", status.Ledger, err)
				}
			})
		})
	}
}

// A release that exits and is started again before a probe notices fails the watch.
func TestRestartsFailTheWatch(t *testing.T) {
	for restarts, serves := range map[int]string{1: "2.0.0", 2: "2.0.0", 3: "1.0.0"} {
		t.Run(fmt.Sprint(restarts), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTimedHarness(t, alwaysHealthy)
				h.create(t)
				h.Config.BakeTime, h.Config.MinHealthyPercent = 20*time.Second, 50
				h.Progress = func(message string) {
					if !strings.HasPrefix(message, "watching") {
						return
					}
					for i := range restarts {
						time.AfterFunc(time.Duration(4*i)*time.Second+1500*time.Millisecond, func() {
							h.memory.Restart(deployment, "blue-2", "exit status 3")
						})
					}
				}
				err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0"))
				if got := h.memory.Serves(t, deployment); got != serves || (err == nil) != (serves == "2.0.0") {
					t.Errorf("%s serves, want %s: %v", got, serves, err)
				}
				if err != nil && !matches(err, bluegreen.HealthCheckFailed,
					"replica blue-2: restarted after it exited: exit status 3") {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

// A release that restarts between two probes of its check has not passed.
func TestRestartFailsTheCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, alwaysHealthy)
		h.create(t)
		h.Config.HealthCheckRetries = 0
		h.checker.isHealthy = func(id string, _ time.Duration) bool {
			if id == "blue-2" {
				h.memory.Restart(deployment, id, "exit status 3")
			}
			return true
		}
		err := h.DeployAndSwitch(t.Context(), fourReplicas(h.memory, "2.0.0"))
		if !matches(err, bluegreen.HealthCheckFailed, "replica blue-2: exited: exit status 3") ||
			h.memory.Serves(t, deployment) != "1.0.0" {
			t.Errorf("%v, and %s serves", err, h.memory.Serves(t, deployment))
		}
	})
}

// A probe that fails because the instance has exited says how it exited.
func TestFailedProbeSaysHowTheInstanceExited(t *testing.T) {
	h := newHarness(t)
	h.Config.BakeTime, h.Config.ProbeInterval, h.Config.UnhealthyThreshold = time.Hour, time.Millisecond, 1
	h.whenWatching(func() { h.memory.Exit(deployment, "green-1", "exit status 7") })
	err := h.DeployAndSwitch(t.Context(), h.release("3.0.0"))
	if !matches(err, bluegreen.HealthCheckFailed, "green-1", "exit status 7") {
		t.Errorf("got %v", err)
	}
	var cut *bluegreen.CutWatchError
	if errors.As(err, &cut) {
		t.Errorf("the watch was not cut: %v", err)
	}
}

// What the watch could not record says nothing about the release. A release that it found
// unhealthy stays unhealthy, even if the rollback could not be recorded.
func TestWatchWhoseLedgerIsNotWritten(t *testing.T) {
	for name, tt := range map[string]struct {
		isUnhealthy bool
		want        bluegreen.Kind
	}{
		"healthy":   {false, bluegreen.PlatformUnavailable},
		"unhealthy": {true, bluegreen.HealthCheckFailed},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.Config.BakeTime, h.Config.ProbeInterval = 20*time.Millisecond, time.Millisecond
			h.whenWatching(func() {
				h.fails = "Commit"
				if tt.isUnhealthy {
					h.memory.MakeUnhealthy(t, deployment, bluegreen.Green)
				}
			})
			err := h.DeployAndSwitch(t.Context(), h.release("3.0.0"))
			if !matches(err, tt.want, "watch of green", "writing the ledger: Commit: injected fault") {
				t.Errorf("got %v", err)
			}
			h.mustServe("3.0.0")
		})
	}
}
