// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"maps"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func deploymentSchema(ctx context.Context) schema.Schema {
	attributes := map[string]schema.Attribute{
		"health_check": healthCheckAttribute(),
		"local":        localAttribute(),
		"docker":       dockerAttribute(),
		"kubernetes":   kubernetesAttribute(),
		"timeouts":     timeoutsAttribute(ctx),
	}
	maps.Copy(attributes, releaseAttributes())
	maps.Copy(attributes, lifecycleAttributes())
	maps.Copy(attributes, observedAttributes())
	return schema.Schema{
		MarkdownDescription: describe("deployment"),
		Attributes:          attributes,
	}
}

// releaseAttributes are what a release is made of.
func releaseAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: describe("name"),
			Validators:          []validator.String{deploymentName()},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
		},
		"version": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: describe("version"),
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1), oneLine{}},
		},
		"image": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: describe("image"),
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1), withoutNUL()},
		},
		"replicas": schema.Int64Attribute{
			Optional: true, Computed: true,
			MarkdownDescription: describe("replicas"),
			Validators:          []validator.Int64{int64validator.AtLeast(1)},
		},
		"command": schema.ListAttribute{
			Optional:            true,
			ElementType:         types.StringType,
			MarkdownDescription: describe("command"),
			Validators: []validator.List{
				listvalidator.SizeAtLeast(1),
				listvalidator.NoNullValues(),
				listvalidator.ValueStringsAre(withoutNUL()),
			},
		},
		"args": schema.ListAttribute{
			Optional:            true,
			ElementType:         types.StringType,
			MarkdownDescription: describe("args"),
			Validators: []validator.List{
				listvalidator.NoNullValues(),
				listvalidator.ValueStringsAre(withoutNUL()),
			},
		},
		"env": schema.MapAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: describe("env"),
			Validators:          variableValidators(),
		},
		"env_wo": schema.MapAttribute{
			Optional: true, WriteOnly: true, ElementType: types.StringType,
			MarkdownDescription: describe("env_wo"),
			Validators: append(variableValidators(),
				mapvalidator.AlsoRequires(path.MatchRoot("env_wo_version"))),
		},
		"env_wo_version": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: describe("env_wo_version"),
			Validators:          []validator.Int64{int64validator.AlsoRequires(path.MatchRoot("env_wo"))},
		},
		"triggers": schema.MapAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: describe("triggers"),
			Validators:          []validator.Map{noNullElement{}},
		},
	}
}

// variableValidators are the validators of a map of environment variables.
func variableValidators() []validator.Map {
	return []validator.Map{
		noNullElement{},
		mapvalidator.KeysAre(
			stringvalidator.RegexMatches(
				variableName,
				`must be the name of a variable: not empty, and without "=" and NUL`,
			),
			stringvalidator.NoneOf(reservedVariables...),
		),
		mapvalidator.ValueStringsAre(withoutNUL()),
	}
}

// lifecycleAttributes are how a release gets and loses the traffic.
func lifecycleAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"promote": schema.BoolAttribute{
			Optional: true, Computed: true,
			Default:             booldefault.StaticBool(defaultPromote),
			MarkdownDescription: describe("promote"),
		},
		"rollback": schema.BoolAttribute{
			Optional: true, Computed: true,
			Default:             booldefault.StaticBool(defaultRollback),
			MarkdownDescription: describe("rollback"),
		},
		"rollback_check": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: describe("rollback_check"),
		},
		"deletion_protection": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: describe("deletion_protection"),
		},
		"retry": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("retry"),
			Validators: []validator.String{
				stringvalidator.RegexMatches(deployRecord, `must be the ID of a record, such as "deploy-7"`),
			},
		},
		"standby": schema.StringAttribute{
			Optional: true, Computed: true,
			Default:             stringdefault.StaticString(defaultStandby),
			MarkdownDescription: describe("standby"),
			Validators:          []validator.String{stringvalidator.OneOf(standbyKeep, standbyRemove)},
		},
		"bake_time":      durationAttribute("bake_time", defaultBakeTime, notNegative()),
		"switch_timeout": durationAttribute("switch_timeout", bluegreen.DefaultConfig().SwitchTimeout, positive()),
		"drain_timeout":  durationAttribute("drain_timeout", defaultDrainTimeout, notNegative()),
		"history_limit": schema.Int64Attribute{
			Optional: true, Computed: true,
			Default:             int64default.StaticInt64(defaultHistoryLimit),
			MarkdownDescription: describe("history_limit"),
			Validators:          []validator.Int64{int64validator.Between(2, longestHistory)},
		},
	}
}

// durationAttribute returns an attribute with the description below heading.
func durationAttribute(heading string, otherwise time.Duration, valid validator.String) schema.StringAttribute {
	return schema.StringAttribute{
		CustomType: durationType{},
		Optional:   true, Computed: true,
		Default:             stringdefault.StaticString(inSeconds(otherwise)),
		MarkdownDescription: describe(heading) + " A duration such as `\"90s\"` or `\"1m30s\"`.",
		Validators:          []validator.String{valid},
	}
}

func timeoutsAttribute(ctx context.Context) schema.Attribute {
	attribute := timeouts.Attributes(ctx, timeouts.Opts{
		Create: true, Update: true, Delete: true,
		CreateDescription: describe("timeouts.create"),
		UpdateDescription: describe("timeouts.update"),
		DeleteDescription: describe("timeouts.delete"),
	})
	if nested, ok := attribute.(schema.SingleNestedAttribute); ok {
		nested.MarkdownDescription = describe("timeouts")
		return nested
	}
	return attribute
}

// inSeconds formats a default as the documentation does: "60s", not "1m0s".
func inSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" }
