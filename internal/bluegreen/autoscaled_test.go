// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A size that the autoscaler chose is no drift. A new release starts with the size of
// live, and a standby that has become smaller than live has the size of live after a rollback.
func TestAutoscaled(t *testing.T) {
	h := newAutoscaledHarness(t)
	h.mustHaveSizes(0, 1)
	h.memory.Autoscale(deployment, bluegreen.Green, 3)
	h.mustHaveSizes(0, 3)
	h.mustBeAsDesired(h.desired("1.0.0"))
	h.apply(h.desired("2.0.0"))
	h.mustHaveSizes(3, 3)
	h.memory.Autoscale(deployment, bluegreen.Green, 2)
	h.memory.Autoscale(deployment, bluegreen.Blue, 4)
	h.mustBeAsDesired(h.desired("2.0.0"))
	back := h.desired("2.0.0")
	back.Rollback = true
	h.apply(back)
	h.mustHaveSizes(4, 4)
	h.mustBeAsDesired(back)
	h.memory.Autoscale(deployment, bluegreen.Green, 3)
	h.apply(h.desired("2.0.0"))
	h.mustHaveSizes(3, 3)
	ledger, err := h.Platform.Load(t.Context())
	h.must(err)
	if record, _ := ledger.LiveRecord(); record.Replicas != 3 {
		t.Errorf("the record says %d replicas", record.Replicas)
	}
}

// An environment that has become smaller than live takes live's traffic at live's size. If its
// new replicas do not become healthy, nothing changes. Without a check of the standby, a rollback
// starts nothing.
func TestAutoscaledTakesTheTrafficAtTheSizeOfLive(t *testing.T) {
	for name, c := range map[string]struct {
		isUnchecked, isSick bool
		green               int
	}{
		"checked":   {green: 4},
		"unchecked": {isUnchecked: true, green: 1},
		"sick":      {isSick: true, green: 4},
	} {
		t.Run(name, func(t *testing.T) {
			h := newAutoscaledHarness(t)
			h.apply(h.desired("2.0.0"))
			h.memory.Autoscale(deployment, bluegreen.Blue, 4)
			h.Config.RollbackCheck = !c.isUnchecked
			h.Config.HealthCheckRetries = 0
			if c.isSick {
				h.Platform = crashingPlatform{h.Platform, bluegreen.Green}
			}
			var messages []string
			h.Progress = func(message string) { messages = append(messages, message) }
			err := h.Rollback(t.Context(), "to see")
			want := "1.0.0"
			if c.isSick {
				want = "2.0.0"
			}
			if errors.Is(err, bluegreen.RollbackFailed) != c.isSick || h.memory.Serves(t, deployment) != want {
				t.Errorf("%s serves, want %s: %v", h.memory.Serves(t, deployment), want, err)
			}
			h.mustHaveSizes(4, c.green)
			const grows = "starting replicas in green: it has 1, and live has 4"
			if slices.Contains(messages, grows) == c.isUnchecked {
				t.Errorf("the progress is %q", messages)
			}
		})
	}
}

func TestAutoscaledPreviewIsPromotedAtTheSizeOfLive(t *testing.T) {
	h := newAutoscaledHarness(t)
	want := h.desired("2.0.0")
	want.Promote = false
	h.apply(want)
	h.memory.Autoscale(deployment, bluegreen.Green, 5)
	want.Promote = true
	h.apply(want)
	h.mustHaveSizes(5, 5)
	if got := h.memory.Serves(t, deployment); got != "2.0.0" {
		t.Errorf("%s serves", got)
	}
}

// The configuration can fix the size and leave it to the autoscaler again. The latter
// starts nothing.
func TestSizeIsLeftToTheAutoscaler(t *testing.T) {
	h := newAutoscaledHarness(t)
	fixed := h.desired("1.0.0")
	fixed.Release.Replicas, fixed.Release.Autoscaled = 2, false
	h.apply(fixed)
	h.mustHaveSizes(0, 2)
	h.memory.Autoscale(deployment, bluegreen.Green, 3)
	status, err := h.Status(t.Context())
	h.must(err)
	if status.Ledger.Slot(bluegreen.Green).Release.Replicas != 2 {
		t.Error("the autoscaler has changed a fixed size")
	}
	var messages []string
	h.Progress = func(message string) { messages = append(messages, message) }
	h.apply(h.desired("1.0.0"))
	h.mustHaveSizes(0, 3)
	if !slices.Equal(messages, []string{"leaving the number of replicas to the autoscaler"}) {
		t.Errorf("the progress is %q", messages)
	}
	h.mustBeAsDesired(h.desired("1.0.0"))
	// The standby, which had a fixed size, is left to the autoscaler as well.
	h.apply(fixed)
	h.apply(h.desired("2.0.0"))
	h.memory.Autoscale(deployment, bluegreen.Green, 4)
	h.mustHaveSizes(2, 4)
	h.mustBeAsDesired(h.desired("2.0.0"))
}

// Scaling live during the watch does not make it unhealthy.
func TestAutoscaledDuringTheWatch(t *testing.T) {
	for _, size := range []int{1, 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			h := newAutoscaledHarness(t)
			h.memory.Autoscale(deployment, bluegreen.Green, 3)
			h.Progress = func(message string) {
				if strings.HasPrefix(message, "watching") {
					h.memory.Autoscale(deployment, bluegreen.Blue, size)
				}
			}
			h.apply(h.desired("2.0.0"))
			h.mustHaveSizes(size, 3)
		})
	}
}

// Removing replicas while they are checked does not make the release fail, as long as
// one is left.
func TestAutoscaledDuringTheCheck(t *testing.T) {
	for size, healthy := range map[int]bool{0: false, 1: true, 2: true} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			h := newAutoscaledHarness(t)
			h.memory.Autoscale(deployment, bluegreen.Green, 3)
			// With one attempt, it is this one that finds them gone.
			h.Config.HealthCheckRetries = 0
			shrink := sync.OnceFunc(func() { h.memory.Autoscale(deployment, bluegreen.Blue, size) })
			h.Checker = shrinkingChecker{h.Checker, shrink}
			_, err := h.Deploy(t.Context(), h.desired("2.0.0").Release)
			h.must(err)
			result, err := h.HealthCheck(t.Context())
			if errors.Is(err, bluegreen.HealthCheckFailed) == healthy || len(result.Instances) != size {
				t.Errorf("%d replicas passed, %v", len(result.Instances), err)
			}
		})
	}
}

// Instances that are replaced while they are checked, as by an eviction, do not make the
// release smaller: the new ones are checked as well.
func TestAutoscaledInstancesAreReplacedDuringTheCheck(t *testing.T) {
	h := newAutoscaledHarness(t)
	h.memory.Autoscale(deployment, bluegreen.Green, 3)
	h.Config.HealthCheckRetries = 1
	h.Checker = shrinkingChecker{h.Checker, sync.OnceFunc(func() {
		h.memory.Autoscale(deployment, bluegreen.Blue, 1)
		h.memory.Autoscale(deployment, bluegreen.Blue, 3)
	})}
	_, err := h.Deploy(t.Context(), h.desired("2.0.0").Release)
	h.must(err)
	result, err := h.HealthCheck(t.Context())
	if err != nil || len(result.Instances) != 3 {
		t.Errorf("%d replicas passed, %v", len(result.Instances), err)
	}
}

// An instance that is starting, because the autoscaler added it or because it replaces
// another, neither causes nor prevents a rollback.
func TestAutoscaledInstancesStart(t *testing.T) {
	h := newAutoscaledHarness(t)
	working := h.Platform
	h.Progress = func(message string) {
		if strings.HasPrefix(message, "watching") {
			h.Platform = surgePlatform{working, bluegreen.Blue}
		}
	}
	h.apply(h.desired("2.0.0"))
	h.Progress = nil
	h.Platform = surgePlatform{working, bluegreen.Green}
	h.must(h.Rollback(t.Context(), "to see"))
	if got := h.memory.Serves(t, deployment); got != "1.0.0" {
		t.Errorf("%s serves", got)
	}
}

// An instance that has passed and crashes afterwards counts as unhealthy, unlike one that
// an autoscaler has added.
func TestAutoscaledInstancesCrash(t *testing.T) {
	h := newAutoscaledHarness(t)
	h.memory.Autoscale(deployment, bluegreen.Green, 3)
	working := h.Platform
	h.Progress = func(message string) {
		if strings.HasPrefix(message, "watching") {
			h.Platform = crashingPlatform{working, bluegreen.Blue}
		}
	}
	ledger, err := h.Platform.Load(t.Context())
	h.must(err)
	_, err = h.Apply(t.Context(), ledger, h.desired("2.0.0"))
	if !matches(err, bluegreen.HealthCheckFailed, "2 of 3 replicas unhealthy") {
		t.Errorf("got %v", err)
	}
	if got := h.memory.Serves(t, deployment); got != "1.0.0" {
		t.Errorf("%s serves", got)
	}
}

// The size may change between the health check and the switch, but an instance that
// passed the check must be left.
func TestAutoscaledBeforeTheSwitch(t *testing.T) {
	for size, refused := range map[int]bool{0: true, 2: false, 3: false, 5: false} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			h := newAutoscaledHarness(t)
			h.memory.Autoscale(deployment, bluegreen.Green, 3)
			_, err := h.Deploy(t.Context(), h.desired("2.0.0").Release)
			h.must(err)
			result, err := h.HealthCheck(t.Context())
			h.must(err)
			if len(result.Instances) != 3 {
				t.Errorf("%d replicas passed the check, want 3", len(result.Instances))
			}
			h.memory.Autoscale(deployment, bluegreen.Blue, size)
			if err := h.Switch(t.Context()); errors.Is(err, bluegreen.SwitchFailed) != refused {
				t.Errorf("the switch ended with: %v", err)
			}
		})
	}
}

// An autoscaled environment without any instance fails its check, cannot be rolled
// back to, and is repaired.
func TestAutoscaledToNothing(t *testing.T) {
	h := newAutoscaledHarness(t)
	h.apply(h.desired("2.0.0"))
	h.memory.Autoscale(deployment, bluegreen.Green, 0)
	if err := h.Rollback(t.Context(), "to see"); !errors.Is(err, bluegreen.RollbackFailed) {
		t.Errorf("a rollback to no instance ended with: %v", err)
	}
	status, err := h.Status(t.Context())
	h.must(err)
	if status.CanRollBack(100) {
		t.Error("there is nothing to roll back to")
	}
	h.apply(h.desired("2.0.0"))
	h.mustHaveSizes(1, 1)
	_, err = h.Deploy(t.Context(), h.desired("3.0.0").Release)
	h.must(err)
	h.memory.Autoscale(deployment, bluegreen.Green, 0)
	if _, err := h.HealthCheck(t.Context()); !errors.Is(err, bluegreen.HealthCheckFailed) {
		t.Errorf("the health check of no instance ended with: %v", err)
	}
}

// A preview is promoted at its own size. If a fixed size is desired, it is deployed again.
func TestAutoscaledPreview(t *testing.T) {
	h := newAutoscaledHarness(t)
	want := h.desired("2.0.0")
	want.Promote = false
	h.apply(want)
	h.memory.Autoscale(deployment, bluegreen.Blue, 3)
	h.mustBeAsDesired(want)
	want.Promote = true
	fixed := want
	fixed.Release.Autoscaled = false
	for step, want := range map[bluegreen.Step]bluegreen.Desired{
		bluegreen.StepPromote: want, bluegreen.StepDeployAndSwitch: fixed,
	} {
		status, err := h.Status(t.Context())
		h.must(err)
		steps, err := status.Ledger.Next(want, status.Running)
		h.must(err)
		if len(steps) == 0 || steps[0] != step {
			t.Errorf("the steps are %v, want %s first", steps, step)
		}
	}
}
