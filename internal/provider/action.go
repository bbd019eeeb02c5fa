// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-log/tflog"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// actionModel is what the configuration of every action has.
type actionModel struct {
	Name types.String `tfsdk:"name"`
	locationModel
	MinHealthyPercent types.Int64 `tfsdk:"min_healthy_percent"`
}

// deploymentAction is what every action has: it changes a deployment that some configuration
// manages, and knows no more of it than its name.
type deploymentAction struct {
	provider providerModel
}

// Configure implements action.ActionWithConfigure.
func (a *deploymentAction) Configure(_ context.Context, req action.ConfigureRequest, _ *action.ConfigureResponse) {
	a.provider = modelOf(req.ProviderData)
}

// actionSchema returns the schema of an action that has these attributes too.
func actionSchema(heading string, own map[string]schema.Attribute) schema.Schema {
	block := func(kind string, attributes map[string]schema.Attribute) schema.Attribute {
		return schema.SingleNestedAttribute{
			Optional:            true,
			Validators:          []validator.Object{onlyPlatform(kind)},
			MarkdownDescription: describe("action." + kind),
			Attributes:          attributes,
		}
	}
	attributes := map[string]schema.Attribute{
		"name": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: describe("data.name"),
			Validators:          []validator.String{deploymentName()},
		},
		"min_healthy_percent": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: describe("action.min_healthy_percent"),
			Validators:          []validator.Int64{int64validator.Between(1, 100)},
		},
		kindLocal:  block(kindLocal, map[string]schema.Attribute{}),
		kindDocker: block(kindDocker, map[string]schema.Attribute{}),
		kindKubernetes: block(kindKubernetes, map[string]schema.Attribute{
			"namespace": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("data.kubernetes.namespace"),
			},
		}),
	}
	maps.Copy(attributes, own)
	return schema.Schema{MarkdownDescription: describe(heading), Attributes: attributes}
}

// invoke runs operate on the deployment that m names, and tells what it does. It returns what
// serves after that, unless there are errors.
func (a *deploymentAction) invoke(
	ctx context.Context, m actionModel, resp *action.InvokeResponse,
	operate func(context.Context, *bluegreen.Deployer) error,
) (status bluegreen.Status) {
	name, where := m.Name.ValueString(), m.location(a.provider)
	var warnings messages
	settings := openSettings{drainTimeout: defaultDrainTimeout, keepsSettings: true, warn: warnings.add}
	platform, err := where.open(ctx, name, settings)
	if err != nil {
		resp.Diagnostics.Append(openError(where, err))
		return status
	}
	defer platform.Close()
	ctx, cancel := context.WithTimeout(ctx, defaultUpdateTimeout)
	defer cancel()
	quiet := withoutAnswers(platform, where.kind())
	d := bluegreen.NewDeployer(name, quiet, platformVerdict{quiet}, actor())
	o := openDeployment{Deployer: d, name: name, location: where, mask: func(text string) string { return text }}
	status, err = o.Status(ctx)
	if err != nil {
		resp.Diagnostics.Append(unreadableTarget(name, where, err))
		return status
	}
	d.Config.HistoryLimit = status.Ledger.HistoryLimit
	if !m.MinHealthyPercent.IsNull() {
		d.Config.MinHealthyPercent = int(m.MinHealthyPercent.ValueInt64())
	}
	d.Progress = func(message string) {
		tflog.Info(ctx, message)
		resp.SendProgress(action.InvokeProgressEvent{Message: message})
	}
	err = operate(ctx, d)
	for _, message := range warnings.list {
		resp.Diagnostics.AddWarning("The action continued despite a problem", message)
	}
	status, statusErr := o.statusAfter(ctx)
	switch {
	case err != nil:
		resp.Diagnostics.Append(o.actionFailure(err, status, statusErr))
	case statusErr != nil:
		resp.Diagnostics.AddError("It is not known what serves now", sentence(statusErr))
	default:
		resp.SendProgress(action.InvokeProgressEvent{Message: describeServing(status)})
	}
	return status
}

// unreadableTarget says that the deployment of an action cannot be read.
func unreadableTarget(name string, where location, err error) diag.Diagnostic {
	if errors.Is(err, bluegreen.ErrNotFound) {
		return diag.NewAttributeErrorDiagnostic(path.Root("name"), "There is no such deployment",
			fmt.Sprintf("No deployment called %q exists on the platform %q.", name, where.kind()))
	}
	return diag.NewErrorDiagnostic("The deployment could not be read", sentence(err))
}

// actionFailure reports an action that failed with err, and what serves now.
func (o openDeployment) actionFailure(err error, status bluegreen.Status, statusErr error) diag.Diagnostic {
	effect := ""
	switch {
	case hasTouchedNothing(err):
		effect = "Nothing was touched."
	case statusErr != nil:
		effect = fmt.Sprintf("It is not known what serves now: %s.", inWords(statusErr))
	case status.Outage != nil:
		effect = describeOutage(status)
	case status.Ledger.IsServing():
		effect = describeServing(status)
	}
	next := ""
	if errors.Is(err, bluegreen.RollbackFailed) && !errors.Is(err, bluegreen.ErrNothingToRollBackTo) {
		next = "To roll back without this check, set rollback_check = false."
	}
	return diag.NewErrorDiagnostic(adviceFor(err, "changed").summary, paragraphs(o.cause(err), effect, next))
}
