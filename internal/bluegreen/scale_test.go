// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestScaleLetsTheInstancesOfBothEnvironmentsReceiveTraffic(t *testing.T) {
	h := newHarness(t)
	if err := h.Scale(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if l := h.ledger(); len(l.Blue.Passed) != 3 || len(l.Green.Passed) != 3 {
		t.Errorf("traffic may go to %v and %v", l.Blue.Passed, l.Green.Passed)
	}
}

// unscalablePlatform is a platform that cannot scale env.
type unscalablePlatform struct {
	bluegreen.Platform
	env bluegreen.Environment
}

var errCannotScale = errors.New("no room")

func (p unscalablePlatform) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	if env == p.env {
		return errCannotScale
	}
	return p.Platform.Scale(ctx, env, replicas)
}

// A standby that cannot be scaled is a warning, and live has its size.
func TestScaleWithAStandbyThatCannotBeScaled(t *testing.T) {
	h := newHarness(t)
	want := desired(h.release("2.0.0"))
	want.Release.Replicas = 3
	working := h.Platform
	h.Platform = unscalablePlatform{working, bluegreen.Green}
	warnings, err := h.Apply(t.Context(), h.ledger(), want)
	if err != nil || len(warnings) != 1 || !errors.Is(warnings[0], errCannotScale) {
		t.Errorf("warnings %v, error %v", warnings, err)
	}
	status, err := h.Status(t.Context())
	if err != nil || status.Running[bluegreen.Blue] != 3 {
		t.Errorf("%d replicas of live run, %v", status.Running[bluegreen.Blue], err)
	}
	h.Platform = working
	if warnings, err := h.Apply(t.Context(), h.ledger(), want); err != nil || len(warnings) > 0 {
		t.Errorf("then: warnings %v, error %v", warnings, err)
	}
	status, err = h.Status(t.Context())
	if err != nil || status.Running[bluegreen.Green] != 3 {
		t.Errorf("%d replicas of the standby run, %v", status.Running[bluegreen.Green], err)
	}
	h.Platform = unscalablePlatform{working, bluegreen.Green}
	if err := h.Scale(t.Context(), 2); !errors.Is(err, errCannotScale) {
		t.Errorf("Scale returned: %v", err)
	}
	h.mustServe("2.0.0")
}

// A scaling that fails puts back the sizes of live and standby, and leaves a preview alone.
func TestScalingBackLeavesThePreviewAlone(t *testing.T) {
	h := newHarness(t)
	preview := desired(h.release("3.0.0"))
	preview.Release.Replicas, preview.Promote = 4, false
	if _, err := h.Apply(t.Context(), h.ledger(), preview); err != nil {
		t.Fatal(err)
	}
	l := h.ledger()
	h.memory.MakeUnhealthy(t, deployment, l.Live)
	h.Config.HealthCheckRetries = 0
	if err := h.Scale(t.Context(), 3); !matches(err, bluegreen.DeployFailed, "3 of 3 replicas unhealthy") {
		t.Fatal(err)
	}
	instances, err := h.faulty.Instances(t.Context(), l.Staging())
	if size := h.ledger().Slot(l.Staging()).Release.Replicas; err != nil || len(instances) != 4 || size != 4 {
		t.Errorf("the preview has %d replicas, the ledger says %d: %v", len(instances), size, err)
	}
}

// A preview that was started again after its check is not switched to.
func TestScalingDoesNotPassAPreview(t *testing.T) {
	h := newHarness(t)
	if _, err := h.Deploy(t.Context(), h.release("3.0.0")); err != nil {
		t.Fatal(err)
	}
	if _, err := h.HealthCheck(t.Context()); err != nil {
		t.Fatal(err)
	}
	h.memory.Crash(t, deployment, bluegreen.Green)
	h.memory.MakeUnhealthy(t, deployment, bluegreen.Green)
	if err := h.Scale(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if err := h.Switch(t.Context()); !errors.Is(err, bluegreen.SwitchFailed) {
		t.Errorf("got %v", err)
	}
	h.mustServe("2.0.0")
}
