// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

func TestErrorTexts(t *testing.T) {
	cause := errors.New("it says 503")
	err := error(&bluegreen.Error{
		Kind: bluegreen.SwitchFailed, Phase: "switch", Environment: bluegreen.Blue, Cause: cause,
	})
	if !errors.Is(err, bluegreen.SwitchFailed) || !errors.Is(err, cause) || errors.Is(err, bluegreen.Timeout) {
		t.Error("the error does not match its kind and its cause alone")
	}
	if got, want := err.Error(), "switch of blue: SwitchFailed: it says 503"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	held := &bluegreen.LockedError{Holder: bluegreen.Holder{
		Name: "ann@host (pid 1)", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}}
	want := "the deployment is locked by ann@host (pid 1) since 2026-01-02 03:04:05 UTC"
	if got := held.Error(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestBusyNamesTheEnvironment(t *testing.T) {
	h := newHarness(t)
	for _, staging := range []bluegreen.Environment{bluegreen.Green, bluegreen.Blue} {
		unlock, err := h.memory.Open(t, deployment).Lock(t.Context(), "bob@host (pid 2)")
		if err != nil {
			t.Fatal(err)
		}
		var busy *bluegreen.Error
		err = h.DeployAndSwitch(t.Context(), h.release("3.0.0"))
		if !errors.As(err, &busy) || busy.Environment != staging || busy.Kind != bluegreen.EnvironmentBusy {
			t.Errorf("got %v, want %s to be busy", err, staging)
		}
		unlock()
		if err := h.DeployAndSwitch(t.Context(), h.release("3.0.0")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestErrorOfThePlatformIsReturnedAndLiveStays(t *testing.T) {
	operations := map[string]func(h *harness) error{
		"apply":    func(h *harness) error { return h.apply("3.0.0") },
		"deploy":   func(h *harness) error { return h.DeployAndSwitch(h.Context(), h.release("3.0.0")) },
		"check":    func(h *harness) error { _, err := h.HealthCheck(h.Context()); return err },
		"scale":    func(h *harness) error { return h.Scale(h.Context(), 3) },
		"rollback": func(h *harness) error { return h.Rollback(h.Context(), "bad") },
		"cleanup":  func(h *harness) error { return h.CleanupStaging(h.Context()) },
		"status":   func(h *harness) error { _, err := h.Status(h.Context()); return err },
	}
	for name, operate := range operations {
		for _, fails := range []string{
			"Lock", "Load", "Instances", "Commit", "Prepare", "Provision",
			"Scale", "Drain", "Remove", "AwaitTraffic", "Observe",
		} {
			t.Run(name+"/"+fails, func(t *testing.T) {
				h := newHarness(t)
				before := len(h.faulty.Calls())
				h.fails = fails
				err := operate(h)
				called := slices.Contains(h.faulty.Calls()[before:], fails)
				if called && !errors.Is(err, platformtest.ErrInjected) {
					t.Errorf("got %v, want the cause in it", err)
				}
				l := h.ledger()
				if err := l.Validate(); err != nil {
					t.Error(err)
				}
				h.mustServe(l.Slot(l.Live).Release.Version)
				if err != nil {
					h.mustServe("2.0.0")
				}
			})
		}
	}
}

func TestOperationTimeoutIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, func(string, time.Duration) bool { return false })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := h.Create(ctx, desired(fourReplicas(h.memory, "1.0.0")))
		if !matches(err, bluegreen.Timeout, "GET /: 503") {
			t.Errorf("got %v, want a timeout that keeps the last cause", err)
		}
	})
}
