// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/resource"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var (
	_ resource.ResourceWithConfigure      = (*deploymentResource)(nil)
	_ resource.ResourceWithIdentity       = (*deploymentResource)(nil)
	_ resource.ResourceWithImportState    = (*deploymentResource)(nil)
	_ resource.ResourceWithModifyPlan     = (*deploymentResource)(nil)
	_ resource.ResourceWithValidateConfig = (*deploymentResource)(nil)
)

// deploymentType is how a configuration names the resource.
const deploymentType = providerType + "_deployment"

// deploymentResource is bluegreen_deployment.
type deploymentResource struct {
	provider providerModel
}

func newDeploymentResource() resource.Resource { return &deploymentResource{} }

func (r *deploymentResource) Metadata(_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse) {
	resp.TypeName = deploymentType
}

func (r *deploymentResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = deploymentSchema(ctx)
}

func (r *deploymentResource) Configure(_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse) {
	r.provider = configured(req.ProviderData)
}

// Create brings the first release live. Whatever fails before it serves leaves
// nothing behind and records nothing: what is recorded by a create that fails
// would be destroyed by the next apply.
func (r *deploymentResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan deploymentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, op, diags := r.begin(ctx, plan, plan.Timeouts.Create, defaultCreateTimeout)
	defer op.close()
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}

	warnings, err := op.create(ctx)
	resp.Diagnostics.Append(op.warnings(warnings)...)
	status, lookErr := op.look(ctx)
	switch {
	case err != nil && lookErr == nil && stopped(err) && op.fulfilled(status):
		resp.Diagnostics.AddWarning("The deployment serves, but was not watched to the end",
			sentence(err)+" The next apply takes the watch up again.")
	case err != nil:
		resp.Diagnostics.Append(op.failed("created", err, op.afterCreate(err, status, lookErr)))
		return
	case lookErr != nil:
		resp.Diagnostics.Append(op.failed("created", lookErr, op.recordedNothing()))
		return
	case !op.fulfilled(status):
		resp.Diagnostics.Append(op.failed("created", errMovedOn, op.recordedNothing()))
		return
	}

	found := op.observe(status)
	plan.observedModel, diags = settle(ctx, plan.observedModel, found)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(writeLedger(ctx, resp.Private, status.Ledger)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, op.identity())...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Read tells what there is. Only a deployment that does not exist is gone; one
// that cannot be looked at is an error.
func (r *deploymentResource) Read(ctx context.Context, req resource.ReadRequest, resp *resource.ReadResponse) {
	var state deploymentModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	op, diags := r.operation(ctx, state)
	defer op.close()
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, op.identity())...)

	seen := op.see(ctx)
	if errors.Is(seen.err, bluegreen.ErrNotFound) {
		resp.State.RemoveResource(ctx)
		return
	}
	if seen.err != nil {
		resp.Diagnostics.Append(op.unreadable(seen.err))
		return
	}
	status := seen.status
	if state.Version.IsNull() {
		resp.Diagnostics.Append(state.adopt(ctx, status.Ledger)...)
	}
	state.observedModel = op.observe(status)
	resp.Diagnostics.Append(writeLedger(ctx, resp.Private, status.Ledger)...)
	resp.Diagnostics.Append(resp.State.Set(ctx, state)...)
}

// Update brings the deployment from what the plan was made from to what is
// configured. When it fails and live is as before, the state stays as it was;
// otherwise it tells what serves, so that the next plan shows the difference.
func (r *deploymentResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, prior deploymentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	base, diags := readLedger(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, op, diags := r.begin(ctx, plan, plan.Timeouts.Update, defaultUpdateTimeout)
	defer op.close()
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, op.identity())...)
	if resp.Diagnostics.HasError() {
		return
	}

	warnings, err := op.Apply(ctx, base, op.desired)
	resp.Diagnostics.Append(op.warnings(warnings)...)
	status, lookErr := op.look(ctx)
	if err == nil && lookErr == nil && !op.fulfilled(status) {
		err = errMovedOn
	}
	if err = errors.Join(err, lookErr); err != nil {
		resp.Diagnostics.Append(op.failed("updated", err, op.afterUpdate(base, status, lookErr)))
	}
	if lookErr != nil {
		return
	}
	resp.Diagnostics.Append(writeLedger(ctx, resp.Private, status.Ledger)...)
	found := op.observe(status)
	switch {
	case err == nil:
		plan.observedModel, diags = settle(ctx, plan.observedModel, found)
		resp.Diagnostics.Append(diags...)
		resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
	case !found.DeploymentID.Equal(prior.DeploymentID):
		prior.observedModel = found
		resp.Diagnostics.Append(resp.State.Set(ctx, prior)...)
	}
}

// Delete removes the deployment. One that is gone already is no error.
func (r *deploymentResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state deploymentModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, op, diags := r.begin(ctx, state, state.Timeouts.Delete, defaultDeleteTimeout)
	defer op.close()
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	if err := op.Destroy(ctx); err != nil {
		resp.Diagnostics.Append(op.failed("destroyed", err, "What is left of it is destroyed by the next apply."))
	}
}
