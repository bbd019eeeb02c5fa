// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// autoscaledHarness is a deployment whose size an autoscaler decides on. Its release
// 1.0.0 is live in green.
type autoscaledHarness struct {
	*testing.T
	*bluegreen.Deployer
	memory *platformtest.Memory
}

func newAutoscaledHarness(t *testing.T) *autoscaledHarness {
	t.Parallel()
	memory := platformtest.NewMemory()
	process := memory.Open(t, deployment)
	h := &autoscaledHarness{t, bluegreen.NewDeployer(deployment, process, memory.Checker(), "tester"), memory}
	h.Config.BakeTime, h.Config.ProbeInterval = 1, 1
	_, err := h.Create(t.Context(), h.desired("1.0.0"))
	h.must(err)
	return h
}

func (h *autoscaledHarness) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

// desired returns a configuration with an autoscaled release.
func (h *autoscaledHarness) desired(version string) bluegreen.Desired {
	release := h.memory.Release(version, platformtest.Healthy)
	release.Replicas, release.Autoscaled = 1, true
	return desired(release)
}

func (h *autoscaledHarness) apply(want bluegreen.Desired) {
	h.Helper()
	ledger, err := h.Platform.Load(h.Context())
	h.must(err)
	_, err = h.Apply(h.Context(), ledger, want)
	h.must(err)
}

// mustHaveSizes reports an error unless the environments run so many instances and the
// ledger says so.
func (h *autoscaledHarness) mustHaveSizes(blue, green int) {
	h.Helper()
	status, err := h.Status(h.Context())
	h.must(err)
	for env, want := range map[bluegreen.Environment]int{bluegreen.Blue: blue, bluegreen.Green: green} {
		said := 0
		if release := status.Ledger.Slot(env).Release; release != nil {
			said = release.Replicas
		}
		if status.Running[env] != want || said != want {
			h.Errorf("%s runs %d and the ledger says %d, want %d", env, status.Running[env], said, want)
		}
	}
}

// mustBeAsDesired reports an error unless an apply has nothing to do.
func (h *autoscaledHarness) mustBeAsDesired(want bluegreen.Desired) {
	h.Helper()
	status, err := h.Status(h.Context())
	h.must(err)
	if steps, err := status.Ledger.Next(want, status.Running); err != nil || len(steps) > 0 {
		h.Errorf("there is something to do: %v, %v", steps, err)
	}
}

// shrinkingChecker removes instances while the first of them is checked.
type shrinkingChecker struct {
	bluegreen.Checker
	shrink func()
}

func (c shrinkingChecker) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	c.shrink()
	return c.Checker.Await(ctx, target)
}

// surgePlatform is a platform with one more instance in env, which is starting.
type surgePlatform struct {
	bluegreen.Platform
	env bluegreen.Environment
}

func (p surgePlatform) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	instances, err := p.Platform.Instances(ctx, env)
	if err == nil && env == p.env {
		instances = append(instances, bluegreen.Instance{
			ID: env.String() + "-9", Incarnation: "new", Running: true, Unready: "it starts",
		})
	}
	return instances, err
}

// crashingPlatform is a platform on which the instances of env but the first have
// restarted and are not ready.
type crashingPlatform struct {
	bluegreen.Platform
	env bluegreen.Environment
}

func (p crashingPlatform) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	instances, err := p.Platform.Instances(ctx, env)
	for i := range instances {
		if env == p.env && i > 0 {
			instances[i].Incarnation, instances[i].Unready = "restarted", "it crashes"
		}
	}
	return instances, err
}
