// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	resource "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/booldefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/planmodifier"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringplanmodifier"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// defaultNamespace is where a deployment goes that names no namespace.
const defaultNamespace = "default"

func kubernetesAttribute() resource.SingleNestedAttribute {
	return resource.SingleNestedAttribute{
		Optional:            true,
		Validators:          []validator.Object{onlyPlatform(kindKubernetes)},
		MarkdownDescription: describe("kubernetes"),
		Attributes: map[string]resource.Attribute{
			"namespace": resource.StringAttribute{
				Optional:            true,
				Computed:            true,
				Default:             stringdefault.StaticString(defaultNamespace),
				MarkdownDescription: describe("kubernetes.namespace"),
				Validators: []validator.String{
					stringvalidator.RegexMatches(
						dnsLabel,
						dnsLabelRule,
					),
				},
				PlanModifiers: []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"port": resource.Int64Attribute{
				Required:            true,
				MarkdownDescription: describe("kubernetes.port"),
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
			"service": kubernetesServiceAttribute(),
			"pod_template": resource.StringAttribute{
				CustomType:          jsontypes.NormalizedType{},
				Optional:            true,
				MarkdownDescription: describe("kubernetes.pod_template"),
			},
			"recycle_standby": resource.BoolAttribute{
				Optional: true, Computed: true,
				Default:             booldefault.StaticBool(true),
				MarkdownDescription: describe("kubernetes.recycle_standby"),
			},
			"adopt": resource.BoolAttribute{
				Optional: true, Computed: true,
				Default:             booldefault.StaticBool(false),
				MarkdownDescription: describe("kubernetes.adopt"),
			},
		},
	}
}

func kubernetesServiceAttribute() resource.SingleNestedAttribute {
	return resource.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: describe("kubernetes.service"),
		Attributes: map[string]resource.Attribute{
			"type": resource.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString("ClusterIP"),
				MarkdownDescription: describe("kubernetes.service.type"),
				Validators:          []validator.String{stringvalidator.OneOf("ClusterIP", "NodePort", "LoadBalancer")},
			},
			"port": resource.Int64Attribute{
				Optional:            true,
				MarkdownDescription: describe("kubernetes.service.port"),
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
			"node_port": resource.Int64Attribute{
				Optional:            true,
				MarkdownDescription: describe("kubernetes.service.node_port"),
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
			"annotations": resource.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: describe("kubernetes.service.annotations"),
				Validators:          []validator.Map{mapvalidator.NoNullValues()},
			},
			"labels": resource.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: describe("kubernetes.service.labels"),
				Validators:          []validator.Map{mapvalidator.NoNullValues()},
			},
		},
	}
}
