// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var _ action.ActionWithConfigure = (*promoteAction)(nil)

// promoteAction brings the preview of a deployment live.
type promoteAction struct{ deploymentAction }

type promoteActionModel struct {
	actionModel
	BakeTime durationValue `tfsdk:"bake_time"`
}

func newPromoteAction() action.Action { return &promoteAction{} }

func (a *promoteAction) Metadata(_ context.Context, _ action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = providerType + "_promote"
}

func (a *promoteAction) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = actionSchema("promote_action", map[string]schema.Attribute{
		"bake_time": schema.StringAttribute{
			CustomType:          durationType{},
			Optional:            true,
			MarkdownDescription: describe("promote_action.bake_time"),
			Validators:          []validator.String{notNegative()},
		},
	})
}

// Invoke promotes the preview.
func (a *promoteAction) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	var m promoteActionModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	a.invoke(ctx, m.actionModel, resp, func(ctx context.Context, d *bluegreen.Deployer) error {
		d.Config.BakeTime = durationOr(m.BakeTime, defaultBakeTime)
		return d.Promote(ctx)
	})
}
