// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
)

func (d *deploymentDataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse,
) {
	attributes := observedDataAttributes()
	attributes["name"] = schema.StringAttribute{
		Required:            true,
		MarkdownDescription: describe("data.name"),
		Validators:          []validator.String{deploymentName()},
	}
	attributes["local"] = schema.SingleNestedAttribute{
		Optional:            true,
		Validators:          []validator.Object{onlyPlatform(kindLocal)},
		MarkdownDescription: describe("data.local"),
		Attributes:          map[string]schema.Attribute{},
	}
	attributes["docker"] = schema.SingleNestedAttribute{
		Optional:            true,
		Validators:          []validator.Object{onlyPlatform(kindDocker)},
		MarkdownDescription: describe("data.docker"),
		Attributes:          map[string]schema.Attribute{},
	}
	attributes["kubernetes"] = schema.SingleNestedAttribute{
		Optional:            true,
		Validators:          []validator.Object{onlyPlatform(kindKubernetes)},
		MarkdownDescription: describe("data.kubernetes"),
		Attributes: map[string]schema.Attribute{
			"namespace": schema.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("data.kubernetes.namespace"),
			},
		},
	}
	attributes["history"] = historyAttribute()
	resp.Schema = schema.Schema{
		MarkdownDescription: describe("data"),
		Attributes:          attributes,
	}
}
