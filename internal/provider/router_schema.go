// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/listvalidator"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// routerAttributes are the attributes of routerModel.
func routerAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"response_timeout": schema.StringAttribute{
			CustomType:          durationType{},
			Optional:            true,
			MarkdownDescription: describe("router.response_timeout"),
			Validators:          []validator.String{notNegative()},
		},
		"max_body": schema.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("router.max_body"),
			Validators:          []validator.String{bodySize{}},
		},
		"trusted_proxies": schema.ListAttribute{
			Optional:            true,
			ElementType:         types.StringType,
			MarkdownDescription: describe("router.trusted_proxies"),
			Validators: []validator.List{
				listvalidator.NoNullValues(),
				listvalidator.ValueStringsAre(ipNetwork{}),
			},
		},
		"max_connections": schema.Int64Attribute{
			Optional:            true,
			MarkdownDescription: describe("router.max_connections"),
			Validators:          []validator.Int64{int64validator.Between(1, 1_000_000)},
		},
		"proxy_protocol": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: describe("router.proxy_protocol"),
		},
		"access_log": schema.BoolAttribute{
			Optional:            true,
			MarkdownDescription: describe("router.access_log"),
		},
	}
}
