// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework-validators/int64validator"
	"github.com/hashicorp/terraform-plugin-framework-validators/mapvalidator"
	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	provider "github.com/hashicorp/terraform-plugin-framework/provider/schema"
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
		Optional:   true,
		Validators: []validator.Object{onlyPlatform(kindKubernetes)},
		MarkdownDescription: "Runs the deployment on a Kubernetes cluster, in which nothing has to be installed: the Deployments `NAME-blue` and `NAME-green`, the Services `NAME` " +
			"and `NAME-preview`, and the Lease `NAME-bluegreen`. `image` is an image reference.",
		Attributes: map[string]resource.Attribute{
			"namespace": resource.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString(defaultNamespace),
				MarkdownDescription: "The namespace, which must exist. Default `\"default\"`. Changing it replaces the deployment.",
				Validators:          []validator.String{stringvalidator.RegexMatches(dnsLabel, "must be a DNS label: 1 to 63 lower case letters, digits and hyphens, with no hyphen first or last")},
				PlanModifiers:       []planmodifier.String{stringplanmodifier.RequiresReplace()},
			},
			"port": resource.Int64Attribute{
				Required:            true,
				MarkdownDescription: "The port that the pods serve, told to them as `PORT`." + newRelease,
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
			"service": kubernetesServiceAttribute(),
			"pod_template": resource.StringAttribute{
				CustomType: jsontypes.NormalizedType{},
				Optional:   true,
				MarkdownDescription: "A pod template in JSON, best written with `jsonencode`, that is merged strategically over the generated one: resources, probes, volumes, a service " +
					"account, sidecars, variables from Secrets, tolerations. The container that runs `image` has the name of the deployment. Its name and the labels that select the " +
					"pods cannot be changed." + newRelease,
			},
			"recycle_standby": resource.BoolAttribute{
				Optional: true, Computed: true,
				Default: booldefault.StaticBool(true),
				MarkdownDescription: "Whether the pods of the standby are replaced one by one once the watch over the new release has ended. Default `true`. A Service moves " +
					"connections, not requests: without it a client that keeps its connection alive stays on the old release for as long as the old pods live.",
			},
			"adopt": resource.BoolAttribute{
				Optional: true, Computed: true,
				Default: booldefault.StaticBool(false),
				MarkdownDescription: "Whether a Service called `NAME` that somebody else made, and the Deployment that it selects, become the blue environment, without a dropped request. " +
					"Default `false`: such a Service is an error.",
			},
		},
	}
}

func kubernetesServiceAttribute() resource.SingleNestedAttribute {
	return resource.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "The Service that clients use. Changing it changes the Service in place and restarts nothing.",
		Attributes: map[string]resource.Attribute{
			"type": resource.StringAttribute{
				Optional: true, Computed: true,
				Default:             stringdefault.StaticString("ClusterIP"),
				MarkdownDescription: "`\"ClusterIP\"`, `\"NodePort\"` or `\"LoadBalancer\"`. Default `\"ClusterIP\"`.",
				Validators:          []validator.String{stringvalidator.OneOf("ClusterIP", "NodePort", "LoadBalancer")},
			},
			"port": resource.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "The port that clients use. Default: the port of the pods.",
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
			"node_port": resource.Int64Attribute{
				Optional:            true,
				MarkdownDescription: "The port on every node, for the types `NodePort` and `LoadBalancer`. Default: the cluster chooses one.",
				Validators:          []validator.Int64{int64validator.Between(1, 65535)},
			},
			"annotations": resource.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Annotations of the Service, such as those that a cloud's load balancer reads. Others that are there stay.",
				Validators:          []validator.Map{mapvalidator.NoNullValues()},
			},
			"labels": resource.MapAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Labels of the Service. Others that are there stay.",
				Validators:          []validator.Map{mapvalidator.NoNullValues()},
			},
		},
	}
}

func kubernetesProviderAttribute() provider.SingleNestedAttribute {
	return provider.SingleNestedAttribute{
		Optional: true,
		MarkdownDescription: "Which cluster the `kubernetes` platform uses, with the names and the meaning that the `hashicorp/kubernetes` provider has given them. There is no default " +
			"cluster. Nothing is connected to before an operation needs it.",
		Attributes: map[string]provider.Attribute{
			"config_path": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The kubeconfig file. Default: `KUBE_CONFIG_PATH`, else `KUBECONFIG`, else the service account of the pod that Terraform runs in.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1), stringvalidator.ConflictsWith(siblings("config_paths")...)},
			},
			"config_paths": provider.ListAttribute{
				Optional: true, ElementType: types.StringType,
				MarkdownDescription: "Several kubeconfig files, merged as `kubectl` does. Default: `KUBE_CONFIG_PATHS`.",
			},
			"config_context": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The context of the kubeconfig. Default: its current one.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"host": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The address of the API server, `https://host:port`. It goes before what a kubeconfig says, and without `config_path` none is read.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"token": provider.StringAttribute{
				Optional: true, Sensitive: true,
				MarkdownDescription: "A bearer token.",
			},
			"cluster_ca_certificate": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The certificate of the authority that the server's certificate is verified against, in PEM.",
			},
			"client_certificate": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The client's certificate in PEM.",
				Validators:          []validator.String{stringvalidator.AlsoRequires(siblings("client_key")...)},
			},
			"client_key": provider.StringAttribute{
				Optional: true, Sensitive: true,
				MarkdownDescription: "The client's key in PEM.",
				Validators:          []validator.String{stringvalidator.AlsoRequires(siblings("client_certificate")...)},
			},
			"insecure": provider.BoolAttribute{
				Optional:            true,
				MarkdownDescription: "Whether any certificate of the server is accepted. Default `false`.",
			},
			"proxy_url": provider.StringAttribute{
				Optional:            true,
				MarkdownDescription: "A proxy to reach the server through, `http://`, `https://` or `socks5://`. Default: `HTTPS_PROXY`.",
				Validators:          []validator.String{stringvalidator.LengthAtLeast(1)},
			},
			"exec": provider.SingleNestedAttribute{
				Optional:            true,
				MarkdownDescription: "A program that gives credentials, such as `aws eks get-token`.",
				Attributes: map[string]provider.Attribute{
					"api_version": provider.StringAttribute{Required: true, MarkdownDescription: "The version of the protocol, `client.authentication.k8s.io/v1`."},
					"command":     provider.StringAttribute{Required: true, MarkdownDescription: "The program."},
					"args":        provider.ListAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Its arguments."},
					"env":         provider.MapAttribute{Optional: true, ElementType: types.StringType, MarkdownDescription: "Variables in its environment."},
				},
			},
		},
	}
}
