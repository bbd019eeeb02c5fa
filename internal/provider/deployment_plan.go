// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
)

// ModifyPlan plans the computed attributes from the configuration and the prior
// state. It never asks the platform: Terraform calls it for the plan and again for
// the apply, and both results must agree.
func (r *deploymentResource) ModifyPlan(
	ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse,
) {
	if req.Plan.Raw.IsNull() {
		var prior deploymentModel
		resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
		resp.Diagnostics.Append(prior.refuseDestroy()...)
		return
	}
	var plan deploymentModel
	var prior *deploymentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	// The framework has made a size that is not configured unknown.
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("replicas"), &plan.Replicas)...)
	plan.planReplicas()
	if !req.State.Raw.IsNull() {
		prior = &deploymentModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, prior)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if prior != nil && !plan.hasUnknownPlatform() {
		prior = r.planReplacement(&plan, prior, resp)
	}
	base, diags := newPlanBase(ctx, prior, req.Private, plan.Name.ValueString())
	base.isCreate = req.State.Raw.IsNull()
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(plan.keepImage(ctx, base, plan.platform(r.provider))...)
	resp.Diagnostics.Append(r.plan(ctx, &plan, base)...)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
	if !resp.Diagnostics.HasError() && !plan.hasUnknownPlatform() && !resp.Plan.Raw.Equal(req.State.Raw) {
		settings, _ := plan.health(ctx)
		resp.Diagnostics.Append(plan.platform(r.provider).withoutEffect(settings)...)
	}
}

// planReplacement warns of a plan that destroys the deployment to create another
// one. It returns the prior state of the planned deployment: nil on another
// platform, where the planned deployment has nothing to do with the prior one.
func (r *deploymentResource) planReplacement(
	plan, prior *deploymentModel, resp *resource.ModifyPlanResponse,
) *deploymentModel {
	before, after := prior.platform(r.provider), plan.platform(r.provider)
	id, isMoved := plan.plannedID(after), before.kind() != after.kind()
	if isMoved || !id.Equal(prior.ID) {
		resp.Diagnostics.Append(prior.refuseDestroy()...)
		resp.Diagnostics.Append(replacementWarning(prior, before.kind(), id, after))
	}
	if !isMoved {
		return prior
	}
	// Terraform ignores a path whose value does not differ, and the default platform
	// may have no block: one of the two differs.
	resp.RequiresReplace.Append(path.Root(before.kind()), path.Root(after.kind()))
	return nil
}

// plan fills in the computed attributes of plan.
func (r *deploymentResource) plan(ctx context.Context, plan *deploymentModel, base planBase) diag.Diagnostics {
	platform := plan.platform(r.provider)
	id := plan.plannedID(platform)
	if !plan.isKnown(ctx) {
		plan.observedModel = unknownObservation(id)
		plan.keepLive(ctx, base)
		plan.planEndpoints(base, platform, r.provider)
		return r.check(ctx, plan, base, forecast{})
	}
	settings, diags := plan.health(ctx)
	desired, more := plan.desired(ctx, settings)
	diags.Append(more...)
	if diags.HasError() {
		return diags
	}
	if late := refuseLateRollback(base, *plan); late != nil {
		return append(diags, late...)
	}
	expected, err := predict(id.ValueString(), base.status, desired)
	if err != nil && base.status.Ledger.Destroying {
		// Terraform plans before it destroys: an error here would make the destroy
		// impossible.
		plan.observedModel = unknownObservation(id)
		return append(diags, partlyDestroyedWarning())
	}
	if err != nil && !base.status.Ledger.IsServing() {
		// What fails a create is a warning of its plan. Terraform plans one too before it destroys
		// what has gone already.
		plan.observedModel = unknownObservation(id)
		return append(diags, asWarnings(diag.Diagnostics{rollbackError(base, *plan, err)})...)
	}
	if err != nil {
		return append(diags, impossiblePlan(base, *plan, err))
	}
	if base.prior == nil && plan.workload().canAdopt() {
		expected.allowAdoption()
	}
	if base.prior != nil {
		expected.keepRollbackBlocked(base.prior.observedModel)
	}
	plan.observedModel = expected.attributes.model()
	plan.planEndpoints(base, platform, r.provider)
	diags.Append(rolledBackWarning(base, *plan, expected)...)
	diags.Append(takenBackWarning(base, *plan, expected)...)
	diags.Append(sizeForTrafficWarning(base, *plan, expected)...)
	diags.Append(missingVariablesWarning(base, *plan, expected)...)
	diags.Append(r.check(ctx, plan, base, expected)...)
	return diags
}

// check runs the checks that a plan can make on the configured platform.
func (r *deploymentResource) check(
	ctx context.Context, plan *deploymentModel, base planBase, expected forecast,
) diag.Diagnostics {
	if plan.hasUnknownPlatform() || plan.Name.IsUnknown() {
		return nil
	}
	var prior location
	if base.prior != nil {
		prior = base.prior.platform(r.provider)
	}
	command, diags := texts(ctx, plan.Command)
	release := plannedRelease{
		isDeployed: expected.hasDeploy(),
		image:      plan.Image.ValueString(),
		command:    command,
	}
	found := plan.platform(r.provider).check(plan.Name.ValueString(), release, prior)
	switch {
	case base.status.Ledger.Destroying:
		// What would make an apply fail must not make a destroy impossible.
		return append(diags, asWarnings(found.forUpdate())...)
	case base.isCreate:
		return append(diags, found.forCreate()...)
	default:
		return append(diags, found.forUpdate()...)
	}
}
