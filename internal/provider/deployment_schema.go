// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"strconv"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-timeouts/resource/timeouts"
	"github.com/hashicorp/terraform-plugin-framework-timetypes/timetypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
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
	for _, group := range []map[string]schema.Attribute{releaseAttributes(), conductAttributes(), observedAttributes()} {
		for name, attribute := range group {
			attributes[name] = attribute
		}
	}
	return schema.Schema{
		MarkdownDescription: "A blue/green deployment. A change of the version, the image or a workload setting starts the new release in the " +
			"environment without traffic, checks its health there and then switches traffic to it. If any of that fails, what serves is not touched.\n\n" +
			"Deploying gives up what stands by: from the moment the new release starts until traffic is switched there is nothing to roll back to.",
		Attributes: attributes,
	}
}

// releaseAttributes say what runs.
func releaseAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"name": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "The name of the deployment: a DNS label of at most 63 characters. Changing it replaces the deployment.",
			Validators:          []validator.String{deploymentName()},
			PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
		},
		"version": schema.StringAttribute{
			Required:            true,
			MarkdownDescription: "The version of the release, any text. Changing it deploys a new release. The processes see it as `BLUEGREEN_VERSION`.",
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1), withoutNUL()},
		},
		"image": schema.StringAttribute{
			Required: true,
			MarkdownDescription: "What is deployed. On `local` the path of an executable file, or of a directory or a `.tar.gz` together with `command`; " +
				"it is copied at deploy time, so that overwriting it later changes nothing that runs. Changing it deploys a new release.",
			Validators: []validator.String{stringvalidator.LengthAtLeast(1), withoutNUL()},
		},
		"replicas": schema.Int64Attribute{
			Optional: true, Computed: true,
			MarkdownDescription: "How many replicas of the release run. Changing it alone scales the live environment and its standby in place, " +
				"without a deploy: the standby must be able to carry all traffic. Default `1`, except on `kubernetes`: there the size is left to an autoscaler of the " +
				"Deployments `NAME-blue` and `NAME-green` (or to `kubectl scale`). The first release begins with one replica and each following one with as many as live " +
				"has then, a change of the size is no difference that a plan shows, and `environments` tells how many there are.",
			Validators: []validator.Int64{int64validator.AtLeast(1)},
		},
		"command": schema.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "What to run in the image. On `local` it is looked for inside the image, then in `PATH`. Default: the image itself. " +
				"Changing it deploys a new release.",
			Validators: []validator.List{listvalidator.SizeAtLeast(1), listvalidator.NoNullValues(), listvalidator.ValueStringsAre(withoutNUL())},
		},
		"args": schema.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "The arguments of the command. Default: none. Changing them deploys a new release.",
			Validators:          []validator.List{listvalidator.NoNullValues(), listvalidator.ValueStringsAre(withoutNUL())},
		},
		"env": schema.MapAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: "Environment variables of the release. `PORT`, `HOST`, `BLUEGREEN_ENVIRONMENT` and `BLUEGREEN_VERSION` are set for every " +
				"replica and cannot be given. Values never come into the ledger, the history, logs or errors, but they are in the Terraform state and, unless the " +
				"value that you give is marked as sensitive, in the output of a plan. They cannot be read back by an import. Changing them deploys a new release.",
			Validators: []validator.Map{
				mapvalidator.NoNullValues(),
				mapvalidator.KeysAre(
					stringvalidator.RegexMatches(variableName, `must be the name of a variable: not empty, and without "=" and NUL`),
					stringvalidator.NoneOf(reservedVariables...),
				),
				mapvalidator.ValueStringsAre(withoutNUL()),
			},
		},
	}
}

// conductAttributes say how a release comes and goes.
func conductAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"promote": schema.BoolAttribute{
			Optional: true, Computed: true,
			Default: booldefault.StaticBool(defaultPromote),
			MarkdownDescription: "Whether a healthy release gets the traffic. Default `true`. With `false` a new release stops in staging, healthy and reachable at " +
				"`preview_endpoint`; turning it to `true` later checks the health again and switches. It never takes traffic back: that is `rollback`.",
		},
		"rollback": schema.BoolAttribute{
			Optional: true, Computed: true,
			Default: booldefault.StaticBool(defaultRollback),
			MarkdownDescription: "With `true` the release before the one that is configured serves. Default `false`. Leave `version`, `image` and the other settings as they " +
				"are. While it stays `true` nothing more happens; back to `false`, the configured release is checked and serves again. A new release together with `true`, " +
				"or nothing to roll back to, is an error of the plan.",
		},
		"standby": schema.StringAttribute{
			Optional: true, Computed: true,
			Default: stringdefault.StaticString(defaultStandby),
			MarkdownDescription: "What becomes of the environment that lost the traffic. Default `\"keep\"`: it stays up, ready for a rollback. `\"remove\"`: it goes " +
				"once it is drained, and there is nothing to roll back to.",
			Validators: []validator.String{stringvalidator.OneOf(standbyKeep, standbyRemove)},
		},
		"bake_time": durationAttribute(defaultBakeTime, notNegative(),
			"How long the live environment is watched after a switch. Default `\"10s\"`, `\"0s\"` for not at all. When it does not stay healthy, traffic goes back to the "+
				"release before by itself and the apply fails. It adds to the time of every apply that switches, a rollback aside."),
		"switch_timeout": durationAttribute(bluegreen.DefaultConfig().SwitchTimeout, positive(),
			"How long traffic may take to follow a switch. Default `\"60s\"`. After that it is put back where it was and the apply fails."),
		"drain_timeout": durationAttribute(defaultDrainTimeout, notNegative(),
			"The longest that anything may go on talking to the old environment after a switch. Default `\"30s\"`. What is in flight finishes; streams, WebSockets and "+
				"other connections that are left then are closed, whether the standby stays or goes."),
		"history_limit": schema.Int64Attribute{
			Optional: true, Computed: true,
			Default:             int64default.StaticInt64(defaultHistoryLimit),
			MarkdownDescription: "How many records of the history are kept, at least 2. Default `10`. The live and the standby record are never dropped.",
			Validators:          []validator.Int64{int64validator.AtLeast(2)},
		},
	}
}

func durationAttribute(otherwise time.Duration, valid validator.String, description string) schema.StringAttribute {
	return schema.StringAttribute{
		CustomType: timetypes.GoDurationType{},
		Optional:   true, Computed: true,
		Default:             stringdefault.StaticString(inSeconds(otherwise)),
		MarkdownDescription: description + " A duration such as `\"90s\"` or `\"1m30s\"`.",
		Validators:          []validator.String{valid},
	}
}

func timeoutsAttribute(ctx context.Context) schema.Attribute {
	const stops = " An operation that takes longer stops at the next safe point and cleans up. A duration such as `\"45m\"`."
	attribute := timeouts.Attributes(ctx, timeouts.Opts{
		Create: true, Update: true, Delete: true,
		CreateDescription: "How long the first deploy may take, health check and `bake_time` included. Default `\"30m\"`." + stops,
		UpdateDescription: "How long a change may take, health check and `bake_time` included. Default `\"30m\"`." + stops,
		DeleteDescription: "How long the removal may take, `drain_timeout` included. Default `\"10m\"`." + stops,
	})
	if nested, ok := attribute.(schema.SingleNestedAttribute); ok {
		nested.MarkdownDescription = "How long the operations on the deployment may take. Changing them changes nothing that runs."
		return nested
	}
	return attribute
}

// inSeconds is how the documentation writes a default: "60s" and not "1m0s".
func inSeconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) + "s" }
