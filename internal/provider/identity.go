// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// identityModel tells a deployment from every other one of its platform.
type identityModel struct {
	Name     types.String `tfsdk:"name"`
	Platform types.String `tfsdk:"platform"`
}

func (r *deploymentResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"name":     identityschema.StringAttribute{RequiredForImport: true, Description: "The name of the deployment."},
			"platform": identityschema.StringAttribute{OptionalForImport: true, Description: `The platform it runs on: "local", the default.`},
		},
	}
}

func (o operation) identity() identityModel {
	return identityModel{Name: types.StringValue(o.name), Platform: types.StringValue(o.platform.kind())}
}

// ImportState takes over what exists by its id, which on local is its name, or
// by its identity. Read fills in the rest.
func (r *deploymentResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	identity := identityModel{Name: types.StringValue(req.ID), Platform: types.StringValue(kindLocal)}
	if req.ID == "" {
		resp.Diagnostics.Append(req.Identity.Get(ctx, &identity)...)
	}
	if platform := identity.Platform; given(platform) && platform.ValueString() != kindLocal {
		resp.Diagnostics.AddError("Unknown platform", fmt.Sprintf("There is no platform %q: it is %q.", platform.ValueString(), kindLocal))
	}
	if !dnsLabel.MatchString(identity.Name.ValueString()) {
		resp.Diagnostics.AddError("Invalid import ID", fmt.Sprintf("%q is no name of a deployment, which is a DNS label.", identity.Name.ValueString()))
	}
	if resp.Diagnostics.HasError() {
		return
	}
	identity.Platform = types.StringValue(kindLocal)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), identity.Name)...)
	resp.Diagnostics.Append(resp.Identity.Set(ctx, identity)...)
}
