// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"fmt"
	"time"

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
		_, err := d.Create(m.ctx, desired(release))
		return &release.Version, err
	}},
	{"deploy", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		_, err := d.Deploy(m.ctx, m.release())
		return &before, err
	}},
	{"health check", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		_, err := d.HealthCheck(m.ctx)
		return &before, err
	}},
	{"switch", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		var promise *string
		if m.last != nil {
			if slot := m.last.Slot(m.last.Staging()); slot.Release != nil {
				promise = &slot.Release.Version
			}
		}
		return promise, d.Switch(m.ctx)
	}},
	{"deploy and switch", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		release := m.release()
		return &release.Version, d.DeployAndSwitch(m.ctx, release)
	}},
	{"deploy and watch", false, func(m *model, d *bluegreen.Deployer) (*string, error) {
		release := m.release()
		d.Config.BakeTime = 3 * time.Second
		if rapid.Bool().Draw(m.rt, "becomes unhealthy") {
			d.Progress = func(message string) {
				var env bluegreen.Environment
				if n, _ := fmt.Sscanf(message, "watching %s", &env); n == 1 {
					m.memory.MakeUnhealthy(m, deployment, env)
				}
			}
		}
		return &release.Version, d.DeployAndSwitch(m.ctx, release)
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
	{"lose a workload", true, func(m *model, _ *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		if m.last != nil {
			m.memory.RemoveWorkload(deployment, m.last.Staging())
		}
		return &before, nil
	}},
	{"restart the machine", true, func(m *model, _ *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		if m.last != nil {
			m.memory.Reboot(deployment)
			m.memory.StartAll(deployment)
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
		return promise, d.Rollback(m.ctx, "drawn")
	}},
	{"cleanup", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		return &before, d.CleanupStaging(m.ctx)
	}},
	{"scale", true, func(m *model, d *bluegreen.Deployer) (*string, error) {
		before := m.serves()
		return &before, d.Scale(m.ctx, rapid.IntRange(1, 4).Draw(m.rt, "replicas"))
	}},
	{"apply", false, func(m *model, d *bluegreen.Deployer) (*string, error) {
		if m.last == nil {
			return nil, nil
		}
		want := desired(m.release())
		want.Promote = rapid.Bool().Draw(m.rt, "promote")
		want.Rollback = rapid.Bool().Draw(m.rt, "rollback")
		want.KeepStandby = rapid.Bool().Draw(m.rt, "keep standby")
		want.Retry = rapid.SampledFrom([]string{"", "deploy-2", "deploy-3"}).Draw(m.rt, "retry")
		planned, steps, refused := m.plan(want)
		m.applied = &want
		warnings, err := d.Apply(m.ctx, planned, want)
		if (refused != nil) && err == nil {
			m.rt.Fatalf("the plan was refused, %v, and the apply succeeded", refused)
		}
		if err == nil && !m.wasOvertaken {
			m.checkPrediction(planned.Predict(steps, want), steps, want, len(warnings) > 0)
		}
		// The apply must do what the plan predicted.
		promise := ""
		if predicted := planned.Predict(steps, want); predicted.IsServing() {
			promise = predicted.Slot(predicted.Live).Release.Version
		}
		return &promise, err
	}},
	{"destroy", false, func(m *model, d *bluegreen.Deployer) (*string, error) {
		nothing := ""
		return &nothing, d.Destroy(m.ctx)
	}},
}

// plan returns the ledger, and the steps that lead from it to what is desired.
func (m *model) plan(want bluegreen.Desired) (bluegreen.Ledger, []bluegreen.Step, error) {
	status, err := m.memory.Open(m, deployment).Observe(context.Background())
	if errors.Is(err, bluegreen.ErrNotFound) {
		return *m.last, nil, err
	}
	if err != nil {
		m.rt.Fatal(err)
	}
	steps, err := status.Ledger.Next(want, status.Usable())
	return status.Ledger, steps, err
}

// checkPrediction checks that an apply that succeeded has made of both environments what
// the plan predicted, and that the next plan is empty.
func (m *model) checkPrediction(
	predicted bluegreen.Ledger, steps []bluegreen.Step, want bluegreen.Desired, warned bool,
) {
	found, again, err := m.plan(want)
	if predicted.Live != found.Live || predicted.IsServing() != found.IsServing() {
		m.rt.Fatalf("%v: %s was predicted to be live (%t), and %s is (%t)",
			steps, predicted.Live, predicted.IsServing(), found.Live, found.IsServing())
	}
	if warned {
		return
	}
	for _, env := range bluegreen.Environments() {
		if p, f := describe(predicted.Slot(env)), describe(found.Slot(env)); p != f {
			m.rt.Fatalf("%v: %s was predicted to be %q, and is %q", steps, env, p, f)
		}
	}
	_, p := predicted.RollbackTarget()
	if _, f := found.RollbackTarget(); p != f {
		m.rt.Fatalf("%v: a rollback was predicted to be possible: %t, and is: %t", steps, p, f)
	}
	if err != nil || len(again) > 0 {
		m.rt.Fatalf("after %v the next plan is %v, %v", steps, again, err)
	}
}

// describe returns what a plan shows of an environment.
func describe(slot bluegreen.Slot) string {
	if slot.Release == nil {
		return string(slot.State)
	}
	return fmt.Sprintf("%s %s x%d %t", slot.State, slot.Release.Version, slot.Release.Replicas, slot.Checked)
}
