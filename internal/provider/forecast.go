// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// forecast is what an apply will do to a deployment, and how it will look then.
type forecast struct {
	steps []bluegreen.Step
	// after is the deployment as it will be. What an apply decides is only a
	// guess here; seen marks it as unknown.
	after bluegreen.Status
	// seen is what the plan shows: an attribute is known if and only if apply
	// will return exactly that.
	seen observation
}

// predict is a pure function: a plan is made twice, and both have to agree.
func predict(id string, before bluegreen.Status, desired bluegreen.Desired) (forecast, error) {
	steps, err := before.Ledger.Next(desired, before.Running)
	if err != nil {
		return forecast{}, err
	}
	f := forecast{steps: steps, after: before}
	f.after.Ledger = before.Ledger.Predict(steps, desired)
	f.seen = observe(id, f.after, desired.MinHealthyPercent)
	if len(steps) == 0 {
		return f, nil
	}
	if record, serving := f.after.Ledger.LiveRecord(); serving {
		// The ID of a record that is yet to be made is for the apply to give.
		if _, made := before.Ledger.Record(record.ID); !made {
			f.seen.DeploymentID = types.StringUnknown()
		}
	}
	for _, env := range bluegreen.Environments() {
		f.seen.environments[env] = f.environment(env)
	}
	f.seen.RollbackAvailable = f.rollbackAvailable()
	return f, nil
}

// beginWithOthers makes unknown what depends on whether something of somebody
// else serves that the deployment takes over. It is blue then.
func (f *forecast) beginWithOthers() {
	f.seen.environments[bluegreen.Blue] = environmentModel{
		State: types.StringUnknown(), Version: types.StringUnknown(), Image: types.StringUnknown(), ImageDigest: types.StringUnknown(),
		Replicas: types.Int64Unknown(), ReadyReplicas: types.Int64Unknown(), HealthCheckPassed: types.BoolUnknown(), DeployedAt: types.StringUnknown(),
	}
	f.seen.RollbackAvailable = types.BoolUnknown()
	if !f.after.Ledger.IsServing() {
		f.seen.LiveEnvironment, f.seen.LiveVersion, f.seen.LiveImage, f.seen.DeploymentID =
			types.StringUnknown(), types.StringUnknown(), types.StringUnknown(), types.StringUnknown()
	}
}

// does reports whether any of these steps is to be done.
func (f forecast) does(these ...bluegreen.Step) bool {
	return slices.ContainsFunc(f.steps, func(step bluegreen.Step) bool { return slices.Contains(these, step) })
}

// deploys reports whether a release is going to be started.
func (f forecast) deploys() bool {
	return f.does(bluegreen.StepDeployAndSwitch, bluegreen.StepPreview)
}

// deploysTo reports whether that release is going to be started in env.
func (f forecast) deploysTo(env bluegreen.Environment) bool {
	switch l := f.after.Ledger; {
	case f.does(bluegreen.StepDeployAndSwitch):
		return env == l.Live
	case f.does(bluegreen.StepPreview):
		return env == l.Staging()
	default:
		return false
	}
}

// environment is what is known of env when steps are done.
func (f forecast) environment(env bluegreen.Environment) environmentModel {
	m := f.seen.environments[env]
	if f.deploysTo(env) {
		m.ImageDigest, m.DeployedAt = types.StringUnknown(), types.StringUnknown()
	}
	slot := f.after.Ledger.Slot(env)
	switch {
	case slot.Release == nil || slot.State == bluegreen.Failed:
		// Nothing belongs there: whatever runs is removed.
		m.ReadyReplicas = types.Int64Value(0)
	case f.deploysTo(env), f.does(bluegreen.StepScale), f.does(bluegreen.StepWatch) && slot.State == bluegreen.Live,
		// Replicas are down: they may come back, or be started by the apply.
		f.after.Running[env] != slot.Release.Replicas:
		m.ReadyReplicas = types.Int64Unknown()
	}
	return m
}

// rollbackAvailable depends on what runs in the standby, as far as there is one.
func (f forecast) rollbackAvailable() types.Bool {
	target, ok := f.after.Ledger.RollbackTarget()
	if ok && f.seen.environments[target.Environment].ReadyReplicas.IsUnknown() {
		return types.BoolUnknown()
	}
	return f.seen.RollbackAvailable
}
