// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"regexp"

	"github.com/hashicorp/terraform-plugin-framework-validators/float64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	resource "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// userName is a name or a number as the usual tools for users accept it.
var userName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}$`)

// octalUmask is a umask as a shell takes it.
var octalUmask = regexp.MustCompile(`^0?[0-7]{3}$`)

// processAttributes returns the attributes that are part of a release on local only. They have no
// defaults in the schema, so that the state of an earlier version shows no difference.
func processAttributes() map[string]resource.Attribute {
	return map[string]resource.Attribute{
		"user": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("local.user"),
			Validators: []validator.String{
				stringvalidator.RegexMatches(userName, "must be a name or a number"),
			},
		},
		"group": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("local.group"),
			Validators: []validator.String{
				stringvalidator.RegexMatches(userName, "must be a name or a number"),
			},
		},
		"umask": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("local.umask"),
			Validators: []validator.String{
				stringvalidator.RegexMatches(octalUmask, `must be three octal digits such as "027"`),
			},
		},
		"stop_timeout": resource.StringAttribute{
			CustomType:          durationType{},
			Optional:            true,
			MarkdownDescription: describe("local.stop_timeout"),
			Validators:          []validator.String{positive()},
		},
		"stop_signal": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("local.stop_signal"),
			Validators:          []validator.String{signalName{}},
		},
		"memory": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("local.memory"),
			Validators:          []validator.String{memorySize{}},
		},
		"cpus": resource.Float64Attribute{
			Optional:            true,
			MarkdownDescription: describe("local.cpus"),
			Validators:          []validator.Float64{float64validator.AtLeast(0.01)},
		},
		"no_new_privileges": resource.BoolAttribute{
			Optional:            true,
			MarkdownDescription: describe("local.no_new_privileges"),
		},
		"socket_activation": resource.BoolAttribute{
			Optional:            true,
			MarkdownDescription: describe("local.socket_activation"),
		},
		"follow_links": resource.BoolAttribute{
			Optional:            true,
			MarkdownDescription: describe("local.follow_links"),
		},
	}
}

var _ validator.String = signalName{}

// signalName refuses what is no signal that can end a process.
type signalName struct{}

func (signalName) Description(context.Context) string {
	return "must be the name of a signal that asks a process to end, such as SIGTERM or SIGQUIT"
}

func (v signalName) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (v signalName) ValidateString(ctx context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !isSet(req.ConfigValue) {
		return
	}
	if err := local.CheckSignal(req.ConfigValue.ValueString()); err != nil {
		resp.Diagnostics.Append(attributeError(req.Path, "Invalid signal", v.Description(ctx)+": "+sentence(err)))
	}
}
