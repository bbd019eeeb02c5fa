// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/attr"
	datasource "github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	resource "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// field is a computed attribute. The resource and the data source have the same
// ones in schemas of different types.
type field struct {
	name        string
	is          attr.Type
	description string
}

var observedFields = []field{
	{"id", types.StringType, "Identifies the deployment. On `local` it is the name."},
	{
		"live_environment",
		types.StringType,
		"The environment that serves, `blue` or `green`; null while nothing serves.",
	},
	{
		"staging_environment",
		types.StringType,
		"The environment without traffic, where the next release goes: `blue` or `green`.",
	},
	{"live_version", types.StringType, "The version that serves; null while nothing serves."},
	{"live_image", types.StringType, "The image that serves; null while nothing serves."},
	{
		"deployment_id",
		types.StringType,
		"The record of the history that is live, such as `deploy-7`; null while nothing serves.",
	},
	{
		"rollback_available",
		types.BoolType,
		"Whether a rollback would work now: the release before the live one is there, and at least " +
			"`min_healthy_percent` of its replicas are healthy.",
	},
	{
		"rollback_blocked",
		types.StringType,
		"Why a rollback would not work now: there is no release before the live one, it was itself rolled back, or " +
			"too few of its replicas are healthy. The resource adds the cause of each, unless there are write-only " +
			"values; the data source does not: secrets in a cause cannot be masked then. Null if " +
			"`rollback_available` is true.",
	},
	{
		"drift",
		types.StringType,
		"What somebody has changed of the deployment's objects, such as a label of its Service; the next apply sets " +
			"it again. `ready_replicas` tells of replicas. Null if nothing differs. Only `kubernetes` has such " +
			"objects.",
	},
	{"endpoint", types.StringType, "Where clients reach the live environment."},
	{"preview_endpoint", types.StringType, "Where clients reach the staging environment, to look at what is there."},
}

const environmentsDescription = "What is in the two environments, by the keys `blue` and `green`."

var environmentFields = []field{
	{
		"state",
		types.StringType,
		"`idle`, `deploying`, `ready`, `live` or `failed`. The standby is `idle` with a version.",
	},
	{"version", types.StringType, "The version of its release; null when it is empty."},
	{"image", types.StringType, "The image of its release; null when it is empty."},
	{"image_digest", types.StringType, "What the image was pinned to when it was deployed."},
	{"replicas", types.Int64Type, "How many replicas should run; 0 when it is empty."},
	{
		readyReplicas,
		types.Int64Type,
		"How many replicas run and are healthy. In the live environment and the standby, only replicas that can " +
			"receive traffic count.",
	},
	{"health_check_passed", types.BoolType, "Whether its release has passed the health check there."},
	{"deployed_at", types.StringType, "When its release was deployed (RFC 3339); null when it is empty."},
}

// environmentType is an element of environments.
var environmentType = types.ObjectType{AttrTypes: attributeTypes(environmentFields)}

func attributeTypes(fields []field) map[string]attr.Type {
	all := map[string]attr.Type{}
	for _, f := range fields {
		all[f.name] = f.is
	}
	return all
}

func resourceAttributes(fields []field) map[string]resource.Attribute {
	attributes := map[string]resource.Attribute{}
	for _, f := range fields {
		switch f.is {
		case types.BoolType:
			attributes[f.name] = resource.BoolAttribute{Computed: true, MarkdownDescription: f.description}
		case types.Int64Type:
			attributes[f.name] = resource.Int64Attribute{Computed: true, MarkdownDescription: f.description}
		default:
			attributes[f.name] = resource.StringAttribute{Computed: true, MarkdownDescription: f.description}
		}
	}
	return attributes
}

func dataAttributes(fields []field) map[string]datasource.Attribute {
	attributes := map[string]datasource.Attribute{}
	for _, f := range fields {
		switch f.is {
		case types.BoolType:
			attributes[f.name] = datasource.BoolAttribute{Computed: true, MarkdownDescription: f.description}
		case types.Int64Type:
			attributes[f.name] = datasource.Int64Attribute{Computed: true, MarkdownDescription: f.description}
		default:
			attributes[f.name] = datasource.StringAttribute{Computed: true, MarkdownDescription: f.description}
		}
	}
	return attributes
}

func observedAttributes() map[string]resource.Attribute {
	attributes := resourceAttributes(observedFields)
	attributes["environments"] = resource.MapNestedAttribute{
		Computed:            true,
		MarkdownDescription: environmentsDescription,
		NestedObject:        resource.NestedAttributeObject{Attributes: resourceAttributes(environmentFields)},
	}
	return attributes
}

func observedDataAttributes() map[string]datasource.Attribute {
	attributes := dataAttributes(observedFields)
	attributes["environments"] = datasource.MapNestedAttribute{
		Computed:            true,
		MarkdownDescription: environmentsDescription,
		NestedObject:        datasource.NestedAttributeObject{Attributes: dataAttributes(environmentFields)},
	}
	return attributes
}
