// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"maps"

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
	maps.Copy(attributes, locationAttributes())
	attributes["history"] = historyAttribute()
	resp.Schema = schema.Schema{
		MarkdownDescription: describe("data"),
		Attributes:          attributes,
	}
}
