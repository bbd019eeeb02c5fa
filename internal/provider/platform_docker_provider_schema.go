// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	provider "github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func dockerProviderAttribute() provider.SingleNestedAttribute {
	return provider.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("provider.docker"),
		Attributes: map[string]provider.Attribute{
			"host": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("provider.docker.host"),
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"context": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("provider.docker.context"),
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"cert_path": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("provider.docker.cert_path"),
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"ca_material": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("provider.docker.ca_material"),
			},
			"cert_material": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("provider.docker.cert_material"),
				Validators:          []validator.String{stringvalidator.AlsoRequires(siblings("key_material")...)},
			},
			"key_material": provider.StringAttribute{
				Optional: true, Sensitive: true,
				MarkdownDescription: describe("provider.docker.key_material"),
				Validators:          []validator.String{stringvalidator.AlsoRequires(siblings("cert_material")...)},
			},
			"ssh_opts": provider.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: describe("provider.docker.ssh_opts"),
			},
			"agent_name": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: describe("provider.docker.agent_name"),
				Validators: []validator.String{
					stringvalidator.RegexMatches(
						containerName,
						"must be the name of a container: letters, digits, and, but not first, _ . and -",
					),
				},
			},
			"registry_auth": registryAuthAttribute(),
		},
	}
}

// registryAuthAttribute returns the attribute of the credentials for registries.
func registryAuthAttribute() provider.ListNestedAttribute {
	return provider.ListNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("provider.docker.registry_auth"),
		NestedObject: provider.NestedAttributeObject{Attributes: map[string]provider.Attribute{
			"address": provider.StringAttribute{
				Required:            true,
				MarkdownDescription: describe("provider.docker.registry_auth.address"),
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"username": provider.StringAttribute{
				Required:            true,
				MarkdownDescription: describe("provider.docker.registry_auth.username"),
			},
			"password": provider.StringAttribute{
				Required:            true,
				Sensitive:           true,
				MarkdownDescription: describe("provider.docker.registry_auth.password"),
			},
		}},
	}
}
