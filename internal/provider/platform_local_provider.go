// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	provider "github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// localProviderModel is the local block of the provider.
type localProviderModel struct {
	StateDir types.String `tfsdk:"state_dir"`
}

func localProviderAttribute() provider.SingleNestedAttribute {
	return provider.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("provider.local"),
		Attributes: map[string]provider.Attribute{
			"state_dir": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("provider.local.state_dir"),
				Validators: []validator.String{
					stringvalidator.LengthAtLeast(1),
					withoutNUL(),
					stateDirectory{},
				},
			},
		},
	}
}

var _ validator.String = stateDirectory{}

// stateDirectory refuses a directory in which no agent can work.
type stateDirectory struct{}

func (stateDirectory) Description(context.Context) string {
	return "must be a directory in which a Unix socket can be made"
}

func (v stateDirectory) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (stateDirectory) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !isSet(req.ConfigValue) {
		return
	}
	if _, err := local.New(local.Options{StateDir: req.ConfigValue.ValueString(), Name: "any"}); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid state directory", err.Error())
	}
}
