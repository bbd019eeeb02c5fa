// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"sync/atomic"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/provider"
	"github.com/hashicorp/terraform-plugin-framework/provider/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/docker"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes"
)

var _ provider.Provider = (*bluegreenProvider)(nil)

// providerType is how a configuration names the provider.
const providerType = "bluegreen"

// bluegreenProvider serves blue/green deployments to Terraform.
type bluegreenProvider struct {
	version string
	// configured is nil until Terraform has configured the provider.
	configured atomic.Pointer[providerModel]
}

// providerModel is what the provider is configured to: of each platform what its
// block says, nil where there is none.
type providerModel struct {
	local  *localProviderModel
	docker *dockerProviderModel
	// host is the Docker host of the docker block. It is nil while it is not known.
	host *docker.Host
	// cluster is nil while it is not known.
	cluster *kubernetes.Client
	// vacated is nil until the provider is configured.
	vacated *vacated
}

func (p *bluegreenProvider) Metadata(_ context.Context, _ provider.MetadataRequest, resp *provider.MetadataResponse) {
	resp.TypeName = providerType
	resp.Version = p.version
}

func (p *bluegreenProvider) Schema(_ context.Context, _ provider.SchemaRequest, resp *provider.SchemaResponse) {
	resp.Schema = schema.Schema{
		MarkdownDescription: "Blue/green deployments: a release goes to the environment without traffic, is proven healthy there, " +
			"and then traffic is switched to it. The environment before it stays up, so that a rollback needs nothing to boot.",
		Attributes: map[string]schema.Attribute{
			"local":      localProviderAttribute(),
			"docker":     dockerProviderAttribute(),
			"kubernetes": kubernetesProviderAttribute(),
		},
	}
}

// Configure connects to nothing: a platform is opened by the operation that needs it.
func (p *bluegreenProvider) Configure(ctx context.Context, req provider.ConfigureRequest, resp *provider.ConfigureResponse) {
	var blocks platformsModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &blocks)...)
	if resp.Diagnostics.HasError() {
		return
	}
	// In a block that is not known, whatever says where the platform is is not.
	config := &providerModel{
		local:  blockOr(blocks.Local, localProviderModel{StateDir: types.StringUnknown()}),
		docker: blockOr(blocks.Docker, dockerProviderModel{Host: types.StringUnknown()}),
	}
	var diags diag.Diagnostics
	config.cluster, diags = blockOr(blocks.Kubernetes, kubernetesProviderModel{Host: types.StringUnknown()}).newClient(ctx)
	resp.Diagnostics.Append(diags...)
	config.host = config.docker.newHost(ctx)
	config.vacated = &vacated{ports: map[string]bool{}}
	p.configured.Store(config)
	resp.ResourceData = config
	resp.DataSourceData = config
}

func (p *bluegreenProvider) Resources(context.Context) []func() resource.Resource {
	return []func() resource.Resource{newDeploymentResource}
}

func (p *bluegreenProvider) DataSources(context.Context) []func() datasource.DataSource {
	return []func() datasource.DataSource{newDeploymentDataSource}
}

// configured returns what Configure has handed on, or the configuration of a
// provider without a block: Terraform validates before it configures.
func configured(providerData any) providerModel {
	if config, ok := providerData.(*providerModel); ok {
		return *config
	}
	return providerModel{}
}
