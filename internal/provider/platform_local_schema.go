// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	resource "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

func localAttribute() resource.SingleNestedAttribute {
	attributes := map[string]resource.Attribute{
		"listen": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("local.listen"),
		},
		"preview_listen": resource.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("local.preview_listen"),
		},
		"protocol": resource.StringAttribute{
			Optional: true, Computed: true,
			Default:             stringdefault.StaticString(string(protocol.HTTP)),
			MarkdownDescription: describe("local.protocol"),
			Validators: []validator.String{
				stringvalidator.OneOf(string(protocol.HTTP), string(protocol.TCP)),
			},
		},
	}
	maps.Copy(attributes, routerAttributes())
	maps.Copy(attributes, processAttributes())
	return resource.SingleNestedAttribute{
		Optional:            true,
		Validators:          []validator.Object{onlyPlatform(kindLocal)},
		MarkdownDescription: describe("local"),
		Attributes:          attributes,
	}
}
