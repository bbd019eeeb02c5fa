// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"sync/atomic"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/docker"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes"
)

var _ provider.ProviderWithListResources = (*bluegreenProvider)(nil)

// providerType is how a configuration names the provider.
const providerType = "bluegreen"

// bluegreenProvider provides blue/green deployments to Terraform.
type bluegreenProvider struct {
	version string
	// configured is nil until Terraform has configured the provider.
	configured atomic.Pointer[providerModel]
}

// providerModel is the configuration of the provider. The block of a platform is
// nil if it is not configured.
type providerModel struct {
	local  *localProviderModel
	docker *dockerProviderModel
	// host is the Docker host, nil while it is unknown.
	host *docker.Host
	// cluster is the Kubernetes cluster, nil while it is unknown.
	cluster *kubernetes.Client
}

func (p *bluegreenProvider) Metadata(
	_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse,
) {
	resp.TypeName = providerType
	resp.Version = p.version
}

func (p *bluegreenProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: describe("provider"),
		Attributes: map[string]schema.Attribute{
			"local":      localProviderAttribute(),
			"docker":     dockerProviderAttribute(),
			"kubernetes": kubernetesProviderAttribute(),
		},
	}
}

// Configure connects to nothing: an operation opens the platform that it needs.
func (p *bluegreenProvider) Configure(
	ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse,
) {
	var blocks platformsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &blocks)...)
	if resp.Diagnostics.HasError() {
		return
	}
	// In an unknown block, the attribute that locates the platform is unknown.
	config := &providerModel{
		local:  blockOr(blocks.Local, localProviderModel{StateDir: types.StringUnknown()}),
		docker: blockOr(blocks.Docker, dockerProviderModel{Host: types.StringUnknown()}),
	}
	var diags diag.Diagnostics
	cluster := blockOr(blocks.Kubernetes, kubernetesProviderModel{Host: types.StringUnknown()})
	config.cluster, diags = cluster.newClient(ctx)
	resp.Diagnostics.Append(diags...)
	config.host = config.docker.newHost(ctx)
	p.configured.Store(config)
	resp.ResourceData = config
	resp.DataSourceData = config
	resp.ListResourceData = config
}

func (p *bluegreenProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{newDeploymentResource}
}

func (p *bluegreenProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{newDeploymentDataSource, newDeploymentsDataSource}
}

// ListResources returns what `terraform query` can list (Terraform 1.14 and newer).
func (p *bluegreenProvider) ListResources(context.Context) []func() list.ListResource {
	return []func() list.ListResource{newDeploymentList}
}

// modelOf returns the configuration that Configure has passed on. Before, when
// Terraform validates, it returns that of a provider without blocks.
func modelOf(providerData any) providerModel {
	if config, ok := providerData.(*providerModel); ok {
		return *config
	}
	return providerModel{}
}
