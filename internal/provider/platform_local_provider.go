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
	StateDir     types.String `tfsdk:"state_dir"`
	ReplicaPorts types.String `tfsdk:"replica_ports"`
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
			"replica_ports": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("provider.local.replica_ports"),
				Validators:          []validator.String{portRange{}},
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

var _ validator.String = portRange{}

// portRange refuses what is no range of ports for replicas, and warns of one that the system uses
// for something else.
type portRange struct{}

func (portRange) Description(context.Context) string {
	return `must be a range of at least 100 ports from 1024 to 65535, such as "20000-29999"`
}

func (v portRange) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v portRange) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !isSet(req.ConfigValue) {
		return
	}
	isEphemeral, err := local.CheckPorts(req.ConfigValue.ValueString())
	switch {
	case err != nil:
		problem := v.Description(ctx) + ": " + sentence(err)
		resp.Diagnostics.Append(attributeError(req.Path, "Invalid range of ports", problem))
	case isEphemeral:
		resp.Diagnostics.AddAttributeWarning(req.Path, "The system uses these ports as well",
			"Outgoing connections of this machine get some of these ports, and can take one before a replica binds "+
				"it. Such a replica is started again with another port. Choose ports outside of "+
				"/proc/sys/net/ipv4/ip_local_port_range.")
	}
}
