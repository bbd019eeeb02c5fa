// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-framework/action/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var _ action.ActionWithConfigure = (*rollbackAction)(nil)

// rollbackAction makes the release before the live one live again.
type rollbackAction struct{ deploymentAction }

type rollbackActionModel struct {
	actionModel
	Reason        types.String `tfsdk:"reason"`
	RollbackCheck types.Bool   `tfsdk:"rollback_check"`
}

// defaultReason is in the history if the action has no reason.
const defaultReason = "asked for by an action"

func newRollbackAction() action.Action { return &rollbackAction{} }

func (a *rollbackAction) Metadata(_ context.Context, _ action.MetadataRequest, resp *action.MetadataResponse) {
	resp.TypeName = providerType + "_rollback"
}

func (a *rollbackAction) Schema(_ context.Context, _ action.SchemaRequest, resp *action.SchemaResponse) {
	resp.Schema = actionSchema("rollback_action", map[string]schema.Attribute{
		"reason": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("rollback_action.reason"),
			Validators:          []validator.String{stringvalidator.LengthBetween(1, maxReason), withoutNUL()},
		},
		"rollback_check": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: describe("rollback_action.rollback_check"),
		},
	})
}

// maxReason is how long a reason may be. The ledger keeps it.
const maxReason = 500

// Invoke rolls back, and warns of what the next plan will say.
func (a *rollbackAction) Invoke(ctx context.Context, req action.InvokeRequest, resp *action.InvokeResponse) {
	var m rollbackActionModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &m)...)
	if resp.Diagnostics.HasError() {
		return
	}
	status := a.invoke(ctx, m.actionModel, resp, func(ctx context.Context, d *bluegreen.Deployer) error {
		d.Config.RollbackCheck = m.RollbackCheck.IsNull() || m.RollbackCheck.ValueBool()
		return d.Rollback(ctx, stringOr(m.Reason, defaultReason))
	})
	if resp.Diagnostics.HasError() {
		return
	}
	rollback, _ := status.Ledger.LiveRecord()
	if replaced, isKnown := status.Ledger.Record(rollback.Replaced); isKnown {
		held := &bluegreen.RolledBackError{Record: replaced.ID, Rollback: rollback}
		resp.Diagnostics.AddWarning(fmt.Sprintf("%s was rolled back", replaced.Version),
			paragraphs("The next plan of a configuration that asks for it is refused.",
				describeOptions(replaced.Version, held)))
	}
}
