// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"

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

func (r *deploymentResource) Metadata(
	_ context.Context, _ resource.MetadataRequest, resp *resource.MetadataResponse,
) {
	resp.TypeName = deploymentType
}

func (r *deploymentResource) Schema(ctx context.Context, _ resource.SchemaRequest, resp *resource.SchemaResponse) {
	resp.Schema = deploymentSchema(ctx)
}

func (r *deploymentResource) Configure(
	_ context.Context, req resource.ConfigureRequest, _ *resource.ConfigureResponse,
) {
	r.provider = modelOf(req.ProviderData)
}

// Create deploys the first release. A create that fails records nothing: the next
// apply would destroy what it recorded. Before the release serves, such a create
// leaves nothing behind either.
func (r *deploymentResource) Create(ctx context.Context, req resource.CreateRequest, resp *resource.CreateResponse) {
	var plan deploymentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	configured, diags := plan.withWriteOnly(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, opened, diags := r.openFor(ctx, configured, purpose{isApply: true}, plan.Timeouts.Create, defaultCreateTimeout)
	defer opened.close()
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}

	warnings, err := opened.create(ctx)
	warnings, err = opened.explainLostAgent(ctx, warnings, err)
	resp.Diagnostics.Append(opened.warnings(warnings)...)
	status, statusErr := opened.statusAfter(ctx)
	switch {
	case statusErr == nil && opened.isCreatedAllTheSame(err, status):
		resp.Diagnostics.AddWarning("The deployment is complete, but the platform did not confirm that",
			opened.cause(err)+" The deployment was read again afterwards, and is complete.")
	case err != nil && statusErr == nil && isHealthyCutWatch(err) && opened.isFulfilled(status):
		resp.Diagnostics.AddWarning("The deployment serves, but was not watched to the end",
			opened.cause(err)+" The next apply resumes the watch.")
	case err != nil:
		effect := opened.describeFailedCreate(err, status, statusErr)
		resp.Diagnostics.Append(opened.failureDiagnostic("created", err, effect))
		return
	case statusErr != nil:
		resp.Diagnostics.Append(opened.failureDiagnostic("created", statusErr, opened.describeUnrecorded()))
		return
	case !opened.isFulfilled(status):
		resp.Diagnostics.Append(opened.failureDiagnostic("created", errChangedAfterwards, opened.describeUnrecorded()))
		return
	}

	found := opened.observe(status)
	plan.observedModel, diags = keepPlanned(ctx, plan.observedModel, found)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(plan.describeFreePort()...)
	resp.Diagnostics.Append(writeStatus(ctx, resp.Private, status)...)
	resp.Diagnostics.Append(writeApplied(ctx, resp.Private, liveRecordID(status.Ledger))...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, opened.identity())...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Read observes the deployment. It removes only a deployment that does not exist
// from the state. A deployment that cannot be read is an error. Of the configured attributes it
// refreshes version and image, if somebody else has made the release that serves.
func (r *deploymentResource) Read(ctx context.Context, _ resource.ReadRequest, resp *resource.ReadResponse) {
	resp.Diagnostics.Append(r.refresh(ctx, &resp.State, resp.Identity, resp.Private)...)
}

// refresh brings what Terraform holds of a deployment up to date.
func (r *deploymentResource) refresh(
	ctx context.Context, held *tfsdk.State, identity *tfsdk.ResourceIdentity, private privateStore,
) diag.Diagnostics {
	var state deploymentModel
	diags := held.Get(ctx, &state)
	key, more := readFingerprintKey(ctx, private)
	diags.Append(more...)
	applied, more := readApplied(ctx, private)
	diags.Append(more...)
	if diags.HasError() {
		return diags
	}
	opened, more := r.open(ctx, state, purpose{key: key})
	defer opened.close()
	diags.Append(more...)
	if diags.HasError() {
		return diags
	}
	diags.Append(identity.Set(ctx, opened.identity())...)

	status, err := opened.statusOfRefresh(ctx)
	isImported := state.Version.IsNull()
	if errors.Is(err, bluegreen.ErrNotFound) {
		if !isImported {
			diags.Append(opened.missingStateDirWarning()...)
		}
		held.RemoveResource(ctx)
		return diags
	}
	if err != nil {
		return append(diags, opened.unreadableDiagnostic(err))
	}
	diags.Append(opened.statusWarnings(status)...)
	if isImported {
		diags.Append(state.fillFromLedger(ctx, status.Ledger)...)
		applied = liveRecordID(status.Ledger)
	}
	state.refreshRelease(status.Ledger, applied)
	state.observedModel = opened.observe(status)
	diags.Append(writeStatus(ctx, private, status)...)
	diags.Append(writeApplied(ctx, private, applied)...)
	diags.Append(held.Set(ctx, state)...)
	if isImported {
		diags.Append(opened.fillKeptSettings(ctx, held)...)
	}
	return diags
}

// Update applies the configuration to the deployment that the plan was made from.
// An update that fails leaves the configured attributes in the state as they were, so that the
// next plan shows the difference. The observed ones are those of now: a failed deploy may have
// given up the standby.
func (r *deploymentResource) Update(ctx context.Context, req resource.UpdateRequest, resp *resource.UpdateResponse) {
	var plan, prior deploymentModel
	resp.Diagnostics.Append(req.Plan.Get(ctx, &plan)...)
	resp.Diagnostics.Append(req.State.Get(ctx, &prior)...)
	base, diags := readLedger(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
	applied, diags := readApplied(ctx, req.Private)
	resp.Diagnostics.Append(diags...)
	configured, diags := plan.withWriteOnly(ctx, req.Config)
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	why := purpose{isApply: true, key: base.Key}
	ctx, opened, diags := r.openFor(ctx, configured, why, plan.Timeouts.Update, defaultUpdateTimeout)
	defer opened.close()
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, opened.identity())...)
	if resp.Diagnostics.HasError() {
		return
	}

	warnings, err := opened.Apply(ctx, base, opened.desired)
	warnings, err = opened.explainLostAgent(ctx, warnings, err)
	resp.Diagnostics.Append(opened.warnings(warnings)...)
	status, statusErr := opened.statusAfter(ctx)
	if err == nil && statusErr == nil && !opened.isFulfilled(status) {
		err = errChangedAfterwards
	}
	if err = errors.Join(err, statusErr); err != nil {
		effect := opened.describeFailedUpdate(err, base, status, statusErr)
		resp.Diagnostics.Append(opened.failureDiagnostic("updated", err, effect))
	}
	if statusErr != nil {
		return
	}
	resp.Diagnostics.Append(writeStatus(ctx, resp.Private, status)...)
	applied = opened.appliedAfter(status.Ledger, applied, err)
	resp.Diagnostics.Append(writeApplied(ctx, resp.Private, applied)...)
	found := opened.observe(status)
	if err != nil {
		prior.observedModel = found
		resp.Diagnostics.Append(resp.State.Set(ctx, prior)...)
		return
	}
	plan.observedModel, diags = keepPlanned(ctx, plan.observedModel, found)
	resp.Diagnostics.Append(diags...)
	resp.Diagnostics.Append(resp.State.Set(ctx, plan)...)
}

// Delete destroys the deployment. It is not an error if there is none.
func (r *deploymentResource) Delete(ctx context.Context, req resource.DeleteRequest, resp *resource.DeleteResponse) {
	var state deploymentModel
	resp.Diagnostics.Append(req.State.Get(ctx, &state)...)
	// Terraform may have made no plan of it that the provider has seen, as with -replace.
	resp.Diagnostics.Append(state.refuseDestroy()...)
	if resp.Diagnostics.HasError() {
		return
	}
	ctx, opened, diags := r.openFor(ctx, state, purpose{}, state.Timeouts.Delete, defaultDeleteTimeout)
	defer opened.close()
	resp.Diagnostics.Append(diags...)
	if resp.Diagnostics.HasError() {
		return
	}
	_, err := opened.explainLostAgent(ctx, nil, opened.Destroy(ctx))
	resp.Diagnostics.Append(opened.warnings(nil)...)
	if err != nil {
		const effect = "The next apply destroys what is left of it."
		resp.Diagnostics.Append(opened.failureDiagnostic("destroyed", err, effect))
	}
}
