// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"slices"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// forecast is what an apply will do to a deployment, and what the deployment will
// be afterwards.
type forecast struct {
	steps []bluegreen.Step
	// after is the deployment after the apply. It holds a guess for what only the
	// apply decides, which is unknown in attributes.
	after bluegreen.Status
	// attributes are what the plan shows: an attribute is known if and only if the
	// apply will return exactly that value.
	attributes observation
}

// predict returns the forecast of an apply. It is a pure function: Terraform plans
// twice, and both plans must agree.
func predict(id string, before bluegreen.Status, desired bluegreen.Desired) (forecast, error) {
	steps, err := before.Ledger.Next(desired, before.Usable())
	if err != nil {
		return forecast{}, err
	}
	f := forecast{steps: steps, after: before}
	f.after.Ledger, f.after.Drift = before.Ledger.Predict(steps, desired), nil
	f.attributes = observe(id, f.after, desired.MinHealthyPercent)
	if len(steps) == 0 {
		return f, nil
	}
	if record, serving := f.after.Ledger.LiveRecord(); serving {
		// The apply gives a new record its id.
		if _, exists := before.Ledger.Record(record.ID); !exists {
			f.attributes.DeploymentID = types.StringUnknown()
		}
	}
	for _, env := range bluegreen.Environments() {
		f.attributes.environments[env] = f.environment(env)
	}
	if f.hasStep(bluegreen.StepRollback, bluegreen.StepPromote) {
		f.forgetSizeForTraffic()
	}
	f.attributes.RollbackAvailable = f.rollbackAvailable()
	f.attributes.RollbackBlocked = f.rollbackBlocked()
	return f, nil
}

// forgetSizeForTraffic makes the size of an autoscaled release unknown that takes the traffic. It
// is that of live if it is smaller when the apply begins.
func (f *forecast) forgetSizeForTraffic() {
	live := f.after.Ledger.Live
	if !f.after.Ledger.Slot(live).Release.Autoscaled {
		return
	}
	m := f.attributes.environments[live]
	m.Replicas, m.ReadyReplicas = types.Int64Unknown(), types.Int64Unknown()
	f.attributes.environments[live] = m
}

// keepRollbackBlocked keeps why no rollback was available before, if the apply does nothing
// about it. A plan does not ask the replicas of the standby again.
func (f *forecast) keepRollbackBlocked(prior observedModel) {
	if !f.isBlockedByReplicas() {
		return
	}
	f.attributes.RollbackBlocked = types.StringUnknown()
	if len(f.steps) == 0 && prior.RollbackAvailable.Equal(f.attributes.RollbackAvailable) {
		f.attributes.RollbackBlocked = prior.RollbackBlocked
	}
}

// allowAdoption makes the attributes unknown that depend on whether the create
// adopts a workload. An adopted workload becomes blue.
func (f *forecast) allowAdoption() {
	f.attributes.environments[bluegreen.Blue] = environmentModel{
		State:             types.StringUnknown(),
		Version:           types.StringUnknown(),
		Image:             types.StringUnknown(),
		ImageDigest:       types.StringUnknown(),
		Replicas:          types.Int64Unknown(),
		ReadyReplicas:     types.Int64Unknown(),
		HealthCheckPassed: types.BoolUnknown(),
		DeployedAt:        types.StringUnknown(),
	}
	f.attributes.RollbackAvailable, f.attributes.RollbackBlocked = types.BoolUnknown(), types.StringUnknown()
	if !f.after.Ledger.IsServing() {
		f.attributes.LiveEnvironment = types.StringUnknown()
		f.attributes.LiveVersion = types.StringUnknown()
		f.attributes.LiveImage = types.StringUnknown()
		f.attributes.DeploymentID = types.StringUnknown()
	}
}

// hasStep reports whether the apply does any of these steps.
func (f forecast) hasStep(these ...bluegreen.Step) bool {
	return slices.ContainsFunc(f.steps, func(step bluegreen.Step) bool { return slices.Contains(these, step) })
}

// hasDeploy reports whether the apply starts a release.
func (f forecast) hasDeploy() bool {
	return f.hasStep(bluegreen.StepDeployAndSwitch, bluegreen.StepPreview)
}

// hasDeployTo reports whether the apply starts a release in env.
func (f forecast) hasDeployTo(env bluegreen.Environment) bool {
	switch l := f.after.Ledger; {
	case f.hasStep(bluegreen.StepDeployAndSwitch):
		return env == l.Live
	case f.hasStep(bluegreen.StepPreview):
		return env == l.Staging()
	default:
		return false
	}
}

// environment returns what is known of env after the apply.
func (f forecast) environment(env bluegreen.Environment) environmentModel {
	m := f.attributes.environments[env]
	if f.hasDeployTo(env) {
		m.ImageDigest, m.DeployedAt = types.StringUnknown(), types.StringUnknown()
	}
	slot := f.after.Ledger.Slot(env)
	switch {
	case slot.Release == nil || slot.State == bluegreen.Failed:
		// The environment has no release: the apply removes all replicas.
		m.ReadyReplicas = types.Int64Value(0)
	case f.hasDeployTo(env),
		f.hasStep(bluegreen.StepScale),
		f.hasStep(bluegreen.StepWatch) && slot.State == bluegreen.Live,
		// Replicas are down or unready: they may come back, or the apply may start them.
		f.after.Running[env]-f.after.Unready[env] != slot.Release.Replicas:
		m.ReadyReplicas = types.Int64Unknown()
	}
	return m
}

// rollbackAvailable returns whether a rollback is available after the apply. It is
// unknown while the number of the standby's replicas is.
func (f forecast) rollbackAvailable() types.Bool {
	target, ok := f.after.Ledger.RollbackTarget()
	if ok && f.attributes.environments[target.Environment].ReadyReplicas.IsUnknown() {
		return types.BoolUnknown()
	}
	return f.attributes.RollbackAvailable
}

// rollbackBlocked returns why no rollback is available after the apply. It is unknown if
// only the replicas of the standby can tell.
func (f forecast) rollbackBlocked() types.String {
	if f.attributes.RollbackAvailable.IsUnknown() || f.isBlockedByReplicas() {
		return types.StringUnknown()
	}
	return f.attributes.RollbackBlocked
}

// isBlockedByReplicas reports whether there is a standby to roll back to, and too few of
// its replicas are healthy.
func (f forecast) isBlockedByReplicas() bool {
	_, hasTarget := f.after.Ledger.RollbackTarget()
	return hasTarget && f.attributes.RollbackAvailable.Equal(types.BoolValue(false))
}
