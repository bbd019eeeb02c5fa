// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// locationModel says where a data source reads: on local unless another platform is set.
type locationModel struct {
	Local      *struct{}                `tfsdk:"local"`
	Docker     *struct{}                `tfsdk:"docker"`
	Kubernetes *kubernetesLocationModel `tfsdk:"kubernetes"`
}

// kubernetesLocationModel locates deployments on a cluster.
type kubernetesLocationModel struct {
	Namespace types.String `tfsdk:"namespace"`
}

func (m locationModel) location(provider providerModel) location {
	switch {
	case m.Docker != nil:
		return dockerPlatform{provider: provider.docker, host: provider.host}
	case m.Kubernetes != nil:
		return kubernetesPlatform{kubernetesModel{Namespace: m.Kubernetes.Namespace}, provider.cluster}
	default:
		return newLocalPlatform(localModel{}, provider.local)
	}
}

func locationAttributes() map[string]schema.Attribute {
	return map[string]schema.Attribute{
		"local": schema.SingleNestedAttribute{
			Optional:            true,
			Validators:          []validator.Object{onlyPlatform(kindLocal)},
			MarkdownDescription: describe("data.local"),
			Attributes:          map[string]schema.Attribute{},
		},
		"docker": schema.SingleNestedAttribute{
			Optional:            true,
			Validators:          []validator.Object{onlyPlatform(kindDocker)},
			MarkdownDescription: describe("data.docker"),
			Attributes:          map[string]schema.Attribute{},
		},
		"kubernetes": schema.SingleNestedAttribute{
			Optional:            true,
			Validators:          []validator.Object{onlyPlatform(kindKubernetes)},
			MarkdownDescription: describe("data.kubernetes"),
			Attributes: map[string]schema.Attribute{
				"namespace": schema.StringAttribute{
					Optional:            true,
					MarkdownDescription: describe("data.kubernetes.namespace"),
				},
			},
		},
	}
}
