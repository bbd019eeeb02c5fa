// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"maps"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	provider "github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

func kubernetesProviderAttribute() provider.SingleNestedAttribute {
	attributes := map[string]provider.Attribute{
		"config_path": provider.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("provider.kubernetes.config_path"),
			Validators: []validator.String{
				stringvalidator.LengthAtLeast(1),
				stringvalidator.ConflictsWith(siblings("config_paths")...),
			},
		},
		"config_paths": provider.ListAttribute{
			Optional: true, ElementType: types.StringType,
			MarkdownDescription: describe("provider.kubernetes.config_paths"),
		},
		"config_context": provider.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("provider.kubernetes.config_context"),
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"exec": kubernetesExecAttribute(),
	}
	maps.Copy(attributes, kubernetesConnectionAttributes())
	return provider.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("provider.kubernetes"),
		Attributes:          attributes,
	}
}

// kubernetesConnectionAttributes returns the attributes that say how to connect to a
// cluster without a kubeconfig file, or otherwise than the file says.
func kubernetesConnectionAttributes() map[string]provider.Attribute {
	return map[string]provider.Attribute{
		"host": provider.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("provider.kubernetes.host"),
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
		"token": provider.StringAttribute{
			Optional: true, Sensitive: true,
			MarkdownDescription: describe("provider.kubernetes.token"),
		},
		"cluster_ca_certificate": provider.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("provider.kubernetes.cluster_ca_certificate"),
		},
		"client_certificate": provider.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("provider.kubernetes.client_certificate"),
			Validators:          []validator.String{stringvalidator.AlsoRequires(siblings("client_key")...)},
		},
		"client_key": provider.StringAttribute{
			Optional:            true,
			Sensitive:           true,
			MarkdownDescription: describe("provider.kubernetes.client_key"),
			Validators: []validator.String{
				stringvalidator.AlsoRequires(siblings("client_certificate")...),
			},
		},
		"insecure": provider.BoolAttribute{
			Optional:            true,
			MarkdownDescription: describe("provider.kubernetes.insecure"),
		},
		"proxy_url": provider.StringAttribute{
			Optional:            true,
			MarkdownDescription: describe("provider.kubernetes.proxy_url"),
			Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
		},
	}
}

// kubernetesExecAttribute returns the attribute of the command that gets the credentials.
func kubernetesExecAttribute() provider.SingleNestedAttribute {
	return provider.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("provider.kubernetes.exec"),
		Attributes: map[string]provider.Attribute{
			"api_version": provider.StringAttribute{
				Required:            true,
				MarkdownDescription: describe("provider.kubernetes.exec.api_version"),
			},
			"command": provider.StringAttribute{
				Required:            true,
				MarkdownDescription: describe("provider.kubernetes.exec.command"),
			},
			"args": provider.ListAttribute{
				Optional:            true,
				ElementType:         types.StringType,
				MarkdownDescription: describe("provider.kubernetes.exec.args"),
			},
			"env": provider.MapAttribute{
				Optional:            true,
				ElementType:         types.StringType,
				MarkdownDescription: describe("provider.kubernetes.exec.env"),
			},
		},
	}
}
