// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// ModifyPlan shows what an apply will come to. It looks at the configuration and
// the prior state, and never at the platform: it runs once for the plan and once
// more for the apply, and both have to agree.
func (r *deploymentResource) ModifyPlan(ctx context.Context, req resource.ModifyPlanRequest, resp *resource.ModifyPlanResponse) {
	if req.Plan.Raw.IsNull() {
		return
	}
	var plan deploymentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	// Where nothing is configured the framework has put that it is unknown.
	resp.Diagnostics.Append(req.Config.GetAttribute(ctx, path.Root("replicas"), &plan.Replicas)...)
	plan.defaultReplicas()
	base := planBase{}
	if !req.State.Raw.IsNull() {
		base.prior = &deploymentModel{}
		resp.Diagnostics.Append(req.State.Get(ctx, base.prior)...)
	}
	if resp.Diagnostics.HasError() {
		return
	}
	if base.prior != nil && !plan.undecided() {
		after := plan.platform(r.provider)
		from, to := base.prior.platform(r.provider).kind(), after.kind()
		id := types.StringUnknown()
		if given(plan.Name) {
			id = after.id(plan.Name.ValueString())
		}
		if from != to || !id.Equal(base.prior.ID) {
			r.provider.vacated.note(base.prior.Endpoint, base.prior.PreviewEndpoint)
			resp.Diagnostics.Append(replaced(base.prior.ID, from, id, to))
		}
		if from != to {
			// Terraform heeds only what differs, and the default platform may have no block.
			resp.RequiresReplace.Append(path.Root(from), path.Root(to))
			// What comes is a deployment that has nothing to do with this one.
			base.prior = nil
		}
	}
	resp.Diagnostics.Append(base.read(ctx, req.Private, plan.Name.ValueString())...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(r.plan(ctx, &plan, base)...)
	resp.Diagnostics.Append(resp.Plan.Set(ctx, plan)...)
}

// replaced warns of a plan that takes away what serves: there is no blue and green
// between two deployments.
func replaced(before types.String, from string, after types.String, to string) diag.Diagnostic {
	other := "another one"
	if given(after) {
		other = fmt.Sprintf("%q on %s", after.ValueString(), to)
	}
	return diag.NewWarningDiagnostic("The deployment is replaced, with an interruption",
		fmt.Sprintf("%q on %s is destroyed, with what serves, its standby and its history, and then %s is made: until that has been deployed and is healthy nothing serves, "+
			"and if it fails there is nothing to go back to. Where that is not meant, undo the change of the name, the namespace or the platform. Where it is, and the two "+
			"do not need the same address, lifecycle { create_before_destroy = true } makes the new one first.", before.ValueString(), from, other))
}

// planBase is what a plan is made from.
type planBase struct {
	// prior is nil for a deployment that is yet to be made.
	prior  *deploymentModel
	status bluegreen.Status
}

// defaultReplicas puts the default in the place of a size that is not configured:
// none where the size may be left to an autoscaler.
func (m *deploymentModel) defaultReplicas() {
	switch {
	case !m.Replicas.IsNull():
	case m.undecided():
		m.Replicas = types.Int64Unknown()
	case m.Kubernetes.IsNull():
		m.Replicas = types.Int64Value(defaultReplicas)
	}
}

func (b *planBase) read(ctx context.Context, private privateReader, name string) diag.Diagnostics {
	b.status = bluegreen.Status{Ledger: bluegreen.NewLedger(name), Running: map[bluegreen.Environment]int{}}
	if b.prior == nil {
		return nil
	}
	ledger, diags := readLedger(ctx, private)
	b.status = bluegreen.Status{Ledger: ledger, Running: b.prior.readyReplicas()}
	if target, ok := ledger.RollbackTarget(); ok && b.status.CanRollBack(100) && b.prior.RollbackAvailable.Equal(types.BoolValue(false)) {
		// All of them run, and the refresh found that nobody could go back there: that is
		// what the platform says of their health, which the state has nothing else of.
		b.status.Unready = map[bluegreen.Environment]int{target.Environment: b.status.Running[target.Environment]}
	}
	return diags
}

// plan fills in the computed attributes of plan.
func (r *deploymentResource) plan(ctx context.Context, plan *deploymentModel, base planBase) diag.Diagnostics {
	platform := plan.platform(r.provider)
	id := types.StringUnknown()
	if given(plan.Name) && !plan.undecided() {
		id = platform.id(plan.Name.ValueString())
	}
	if !plan.settingsKnown(ctx) {
		plan.observedModel = unforeseen(id)
		plan.endpoints(base, platform, r.provider)
		return r.check(ctx, plan, base, forecast{})
	}
	judged, diags := plan.health(ctx)
	desired, more := plan.desired(ctx, judged)
	diags.Append(more...)
	if diags.HasError() {
		return diags
	}
	foreseen, err := predict(id.ValueString(), base.status, desired)
	if err != nil && base.status.Ledger.Destroying {
		// Terraform makes a plan before it destroys: an error would leave no way out.
		plan.observedModel = unforeseen(id)
		return append(diags, halfDestroyed())
	}
	if err != nil {
		diags.Append(rollbackError(base, *plan, err))
		return diags
	}
	if base.prior == nil && platform.adopts() {
		foreseen.beginWithOthers()
	}
	plan.observedModel = foreseen.seen.model()
	plan.endpoints(base, platform, r.provider)
	diags.Append(unaskedRollback(base, *plan, foreseen)...)
	diags.Append(r.check(ctx, plan, base, foreseen)...)
	return diags
}

// endpoints plans where clients find the deployment: where they found it before,
// unless it moves.
func (m *deploymentModel) endpoints(base planBase, platform platformConfig, provider providerModel) {
	m.Endpoint, m.PreviewEndpoint = types.StringUnknown(), types.StringUnknown()
	if base.prior != nil && !base.status.Ledger.Destroying && !m.undecided() && platform.sameEndpoints(base.prior.platform(provider)) {
		m.Endpoint, m.PreviewEndpoint = base.prior.Endpoint, base.prior.PreviewEndpoint
	}
}

// check looks at what can be seen from here without touching anything.
func (r *deploymentResource) check(ctx context.Context, plan *deploymentModel, base planBase, foreseen forecast) diag.Diagnostics {
	if plan.undecided() || plan.Name.IsUnknown() {
		return nil
	}
	var prior platformConfig
	if base.prior != nil {
		prior = base.prior.platform(r.provider)
	}
	command, diags := texts(ctx, plan.Command)
	release := plannedRelease{deploys: foreseen.deploys(), image: plan.Image.ValueString(), command: command, vacated: r.provider.vacated.has}
	found := plan.platform(r.provider).check(plan.Name.ValueString(), release, prior)
	if base.status.Ledger.Destroying {
		// As above: what an apply could not do is no reason not to destroy.
		found = asWarnings(found)
	}
	return append(diags, found...)
}

// rollbackError says why rollback = true cannot be.
func rollbackError(base planBase, plan deploymentModel, err error) diag.Diagnostic {
	attribute := path.Root("rollback")
	live, serving := base.status.Ledger.LiveRecord()
	switch {
	case !serving:
		return diag.NewAttributeErrorDiagnostic(attribute, "There is nothing to roll back to",
			"No release of this deployment serves yet. Set rollback = false, or leave it out.")
	case errors.Is(err, bluegreen.ErrRollbackOfNewRelease):
		return diag.NewAttributeErrorDiagnostic(attribute, "A new release cannot be rolled back",
			fmt.Sprintf("rollback = true takes the configured release out of service in favour of the one before it, but the configured release, %s, is not "+
				"the one that was deployed last: %s serves. To deploy it, set rollback = false. To stay rolled back, configure the release that was rolled back as it was.",
				plan.Version.ValueString(), live.Version))
	default:
		return diag.NewAttributeErrorDiagnostic(attribute, "There is nothing to roll back to",
			fmt.Sprintf("%s serves, and no release that it has replaced stands by: it was the first, or the standby was removed or given up for a deploy, or %s is itself "+
				"what a rollback brought back. Set rollback = false; to get another version, deploy it as a new release.", live.Version, live.Version))
	}
}

// halfDestroyed warns of a rollback in what was being destroyed when it was interrupted.
func halfDestroyed() diag.Diagnostic {
	return diag.NewAttributeWarningDiagnostic(path.Root("rollback"), "The deployment is half destroyed",
		"A destroy did not come to its end. The next destroy finishes it. An apply fails, for there is nothing to roll back to any more: "+
			"set rollback = false to deploy the configured release afresh.")
}

// unaskedRollback warns of a rollback that the configuration did not ask for and
// that this plan is going to undo.
func unaskedRollback(base planBase, plan deploymentModel, foreseen forecast) diag.Diagnostics {
	live, _ := base.status.Ledger.LiveRecord()
	if live.Operation != bluegreen.OpRollback || plan.Rollback.ValueBool() || base.prior.Rollback.ValueBool() || !foreseen.deploys() {
		return nil
	}
	what, at, why := "The release before it", live.SwitchedAt, live.Reason
	if undone, known := base.status.Ledger.Record(live.Replaced); known {
		what = undone.Version
	}
	detail := fmt.Sprintf("%s was rolled back", what)
	if at != nil {
		detail += " at " + at.UTC().Format(time.RFC3339)
	}
	if live.Actor != "" {
		detail += " by " + live.Actor
	}
	if why != "" {
		detail += ": " + why
	}
	return diag.Diagnostics{diag.NewAttributeWarningDiagnostic(path.Root("version"), "The deployment was rolled back",
		fmt.Sprintf("%s. Since then %s serves from %s. This plan deploys %s.", detail, live.Version, live.Environment, plan.Version.ValueString()))}
}
