// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// An image that cannot be had costs nothing: the standby is still the standby.
func TestMissingImageLeavesTheStandby(t *testing.T) {
	h := newHarness(t)
	before := h.ledger()
	h.fails = "Prepare"
	err := h.apply("3.0.0")
	if !matches(err, bluegreen.DeployFailed, "injected fault") {
		t.Errorf("got %v", err)
	}
	after := h.ledger()
	if _, available := after.RollbackTarget(); !available || after.Generation != before.Generation {
		t.Errorf("the standby was given up: %+v", after)
	}
	if err := h.Rollback(t.Context(), "2.0.0 is bad"); err != nil {
		t.Error(err)
	}
	h.mustServe("1.0.0")
}

// silentPlatform does not answer when an image is to be fetched.
type silentPlatform struct{ bluegreen.Platform }

func (silentPlatform) Prepare(context.Context, bluegreen.Release) (string, error) {
	return "", fmt.Errorf("the agent hangs: %w", bluegreen.ErrCouldNotAsk)
}

// A platform that does not answer says nothing about the release.
func TestReleaseIsNotBlamedForASilentPlatform(t *testing.T) {
	h := newHarness(t)
	h.Platform = silentPlatform{h.Platform}
	if err := h.apply("3.0.0"); !matches(err, bluegreen.PlatformUnavailable, "the agent hangs") {
		t.Errorf("got %v", err)
	}
	h.mustServe("2.0.0")
}

// A version is one build. What its image names may have changed since it was deployed.
func TestVersionStaysTheSameBuild(t *testing.T) {
	for name, comeBack := range map[string]func(*harness, bluegreen.Release) error{
		"promote together with another size": func(h *harness, release bluegreen.Release) error {
			if _, err := h.Deploy(h.Context(), release); err != nil {
				return err
			}
			if _, err := h.HealthCheck(h.Context()); err != nil {
				return err
			}
			h.memory.MoveImage(release.Image)
			release.Replicas = 4
			_, err := h.Apply(h.Context(), h.ledger(), desired(release))
			return err
		},
		"forward again after a rollback": func(h *harness, release bluegreen.Release) error {
			if err := h.DeployAndSwitch(h.Context(), release); err != nil {
				return err
			}
			back := desired(release)
			back.Rollback = true
			if _, err := h.Apply(h.Context(), h.ledger(), back); err != nil {
				return err
			}
			h.memory.MoveImage(release.Image)
			_, err := h.Apply(h.Context(), h.ledger(), desired(release))
			return err
		},
		"repair after its workload was removed": func(h *harness, release bluegreen.Release) error {
			if err := h.DeployAndSwitch(h.Context(), release); err != nil {
				return err
			}
			h.memory.MoveImage(release.Image)
			h.memory.RemoveWorkload(deployment, bluegreen.Green)
			_, err := h.Apply(h.Context(), h.ledger(), desired(release))
			return err
		},
		"repair of a preview whose workload was removed": func(h *harness, release bluegreen.Release) error {
			preview := desired(release)
			preview.Promote = false
			if _, err := h.Apply(h.Context(), h.ledger(), preview); err != nil {
				return err
			}
			h.memory.MoveImage(release.Image)
			h.memory.RemoveWorkload(deployment, bluegreen.Green)
			if _, err := h.Apply(h.Context(), h.ledger(), preview); err != nil {
				return err
			}
			_, err := h.Apply(h.Context(), h.ledger(), desired(release))
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			release := h.release("3.0.0")
			if err := comeBack(h, release); err != nil {
				t.Fatal(err)
			}
			h.mustServe("3.0.0")
			l := h.ledger()
			want := "sha256:memory:3.0.0-0"
			if got := l.Slot(l.Live).Release.ImageDigest; got != want || h.memory.Build(deployment, l.Live) != want {
				t.Errorf("%s is recorded, and %s serves", got, h.memory.Build(deployment, l.Live))
			}
		})
	}
}

// A release that never went live is no version yet: its image may be corrected.
func TestFailedReleaseMayHaveAnotherBuild(t *testing.T) {
	h := newHarness(t)
	h.Config.HealthCheckRetries = 0
	h.Config.HealthCheckTimeout = time.Millisecond
	h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Green)
	if err := h.DeployAndSwitch(t.Context(), h.release("3.0.0")); err == nil {
		t.Fatal("it is healthy")
	}
	h.memory.SetReadiness(deployment, nil)
	h.Config.HealthCheckTimeout = time.Minute
	h.memory.MoveImage("memory:3.0.0")
	if err := h.DeployAndSwitch(t.Context(), h.release("3.0.0")); err != nil {
		t.Fatal(err)
	}
	l := h.ledger()
	if got := l.Slot(l.Live).Release.ImageDigest; got != "sha256:memory:3.0.0-1" {
		t.Errorf("the build is %s", got)
	}
}

// A process died before it had started anything of a deploy. Nothing is left to be done, and
// the plan still says what the next apply makes of that deploy.
func TestPlanSaysWhatBecomesOfAnInterruptedDeploy(t *testing.T) {
	h := newHarness(t)
	if err := h.CleanupStaging(t.Context()); err != nil {
		t.Fatal(err)
	}
	process := h.memory.Open(t, deployment)
	h.Platform = platformtest.NewFaulty(process, func(_ int, method string) platformtest.Fault {
		if method == "Provision" {
			return platformtest.DiesBefore
		}
		return ""
	}, nil)
	if err := h.DeployAndSwitch(t.Context(), h.release("3.0.0")); err == nil {
		t.Fatal("the process did not die")
	}
	process.Kill()
	h.Platform = h.faulty
	want := desired(h.release("2.0.0"))
	status, err := h.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	steps, err := status.Ledger.Next(want, status.Usable())
	if err != nil {
		t.Fatal(err)
	}
	predicted := status.Ledger.Predict(steps, want)
	if _, err := h.Apply(t.Context(), status.Ledger, want); err != nil {
		t.Fatal(err)
	}
	after := h.ledger()
	for _, env := range bluegreen.Environments() {
		if p, f := predicted.Slot(env).State, after.Slot(env).State; p != f || f == bluegreen.Deploying {
			t.Errorf("%s is predicted to be %s, and is %s", env, p, f)
		}
	}
}
