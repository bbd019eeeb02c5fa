// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"fmt"

	"pgregory.net/rapid"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// release returns a new release, or one that was there before.
func (m *model) release() bluegreen.Release {
	behaviour := rapid.SampledFrom([]platformtest.Behaviour{
		platformtest.Healthy, platformtest.Healthy, platformtest.Healthy, platformtest.Unhealthy, platformtest.Crashing,
	}).Draw(m.rt, "behaviour")
	if rapid.Bool().Draw(m.rt, "new version") || m.releases == 0 {
		m.releases++
	}
	n := rapid.IntRange(max(1, m.releases-2), m.releases).Draw(m.rt, "version")
	release := m.memory.Release(fmt.Sprintf("%d-%s", n, behaviour), behaviour)
	release.Autoscaled = rapid.Bool().Draw(m.rt, "autoscaled")
	return release
}

// operation is one of the operations that a property test chooses from.
type operation struct {
	name string
	// keepsLive is set if what serves does not change when the operation fails.
	keepsLive bool
	// run returns the version that must serve if it succeeds, nil for any.
	run func(*model, *bluegreen.Deployer) (promise *string, err error)
}

var operations = []operation{
	{"create", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		release := m.release()
		_, err := d.Create(context.Background(), desired(release))
		return &release.Version, err
	}},
	{"deploy", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		_, err := d.Deploy(context.Background(), m.release())
		return &before, err
	}},
	{"health check", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		_, err := d.HealthCheck(context.Background())
		return &before, err
	}},
	{"switch", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		var promise *string
		if m.last != nil {
			if slot := m.last.Slot(m.last.Staging()); slot.Release != nil {
				promise = &slot.Release.Version
			}
		}
		return promise, d.Switch(context.Background())
	}},
	{"deploy and switch", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		release := m.release()
		return &release.Version, d.DeployAndSwitch(context.Background(), release)
	}},
	{"deploy and watch", false, func(m *model, d *bluegreen.Deployer) (*string, error) {
		release := m.release()
		d.Config.BakeTime, d.Config.ProbeInterval = 1, 1
		if rapid.Bool().Draw(m.rt, "becomes unhealthy") {
			d.Progress = func(message string) {
				var env bluegreen.Environment
				if n, _ := fmt.Sscanf(message, "watching %s", &env); n == 1 {
					m.memory.MakeUnhealthy(m, deployment, env)
				}
			}
		}
		return &release.Version, d.DeployAndSwitch(context.Background(), release)
	}},
	{"autoscale", true, func(m *model, _ *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		// An autoscaler changes only the size of releases that are left to it.
		for _, env := range bluegreen.Environments() {
			if m.last != nil && m.last.Slot(env).Release != nil && m.last.Slot(env).Release.Autoscaled {
				m.memory.Autoscale(deployment, env, rapid.IntRange(1, 4).Draw(m.rt, "size of "+env.String()))
			}
		}
		return &before, nil
	}},
	{"rollback", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		var promise *string
		if m.last != nil {
			if target, ok := m.last.RollbackTarget(); ok {
				promise = &target.Version
			}
		}
		return promise, d.Rollback(context.Background(), "drawn")
	}},
	{"cleanup", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		return &before, d.CleanupStaging(context.Background())
	}},
	{"scale", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		return &before, d.Scale(context.Background(), rapid.IntRange(1, 4).Draw(m.rt, "replicas"))
	}},
	{"apply", false, func(m *model, d *bluegreen.Deployer) (*string, error) {
		if m.last == nil {
			return nil, nil
		}
		want := desired(m.release())
		want.Promote = rapid.Bool().Draw(m.rt, "promote")
		want.Rollback = rapid.Bool().Draw(m.rt, "rollback")
		want.KeepStandby = rapid.Bool().Draw(m.rt, "keep standby")
		planned := *m.last
		steps, refused := planned.Next(want, m.running())
		_, err := d.Apply(context.Background(), planned, want)
		if (refused != nil) && err == nil {
			m.rt.Fatalf("the plan was refused, %v, and the apply succeeded", refused)
		}
		// The apply must do what the plan predicted.
		promise := ""
		if predicted := planned.Predict(steps, want); predicted.IsServing() {
			promise = predicted.Slot(predicted.Live).Release.Version
		}
		return &promise, err
	}},
	{"destroy", false, func(_ *model, d *bluegreen.Deployer) (*string, error) {
		nothing := ""
		return &nothing, d.Destroy(context.Background())
	}},
}
