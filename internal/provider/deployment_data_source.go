// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var _ datasource.DataSourceWithConfigure = (*deploymentDataSource)(nil)

// deploymentDataSource is the data source bluegreen_deployment. It reads the
// platform, and never the Terraform state.
type deploymentDataSource struct {
	provider providerModel
}

type deploymentDataModel struct {
	Name       types.String          `tfsdk:"name"`
	Local      *struct{}             `tfsdk:"local"`
	Docker     *struct{}             `tfsdk:"docker"`
	Kubernetes *kubernetesPlaceModel `tfsdk:"kubernetes"`
	History    []recordModel         `tfsdk:"history"`
	observedModel
}

// kubernetesPlaceModel is where on a cluster a deployment is.
type kubernetesPlaceModel struct {
	Namespace types.String `tfsdk:"namespace"`
}

// platform returns the platform that the deployment is looked for on.
func (m deploymentDataModel) platform(provider providerModel) platformConfig {
	switch {
	case m.Docker != nil:
		return dockerPlatform{provider: provider.docker, host: provider.host}
	case m.Kubernetes != nil:
		return kubernetesPlatform{kubernetesModel{Namespace: m.Kubernetes.Namespace}, provider.cluster}
	default:
		return newLocalPlatform(localModel{}, provider.local)
	}
}

func newDeploymentDataSource() datasource.DataSource { return &deploymentDataSource{} }

func (d *deploymentDataSource) Metadata(_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse) {
	resp.TypeName = deploymentType
}

func (d *deploymentDataSource) Schema(_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse) {
	attributes := observedDataAttributes()
	attributes["name"] = schema.StringAttribute{
		Required:            true,
		MarkdownDescription: "The name of the deployment.",
		Validators:          []validator.String{deploymentName()},
	}
	attributes["local"] = schema.SingleNestedAttribute{
		Optional:            true,
		Validators:          []validator.Object{onlyPlatform(kindLocal)},
		MarkdownDescription: "Looks for the deployment among those of the `local` platform, `{}`. It is what happens without a platform too.",
		Attributes:          map[string]schema.Attribute{},
	}
	attributes["docker"] = schema.SingleNestedAttribute{
		Optional:            true,
		Validators:          []validator.Object{onlyPlatform(kindDocker)},
		MarkdownDescription: "Looks for the deployment on the Docker host of the provider, `{}`.",
		Attributes:          map[string]schema.Attribute{},
	}
	attributes["kubernetes"] = schema.SingleNestedAttribute{
		Optional:            true,
		Validators:          []validator.Object{onlyPlatform(kindKubernetes)},
		MarkdownDescription: "Looks for the deployment on the cluster of the provider.",
		Attributes: map[string]schema.Attribute{
			"namespace": schema.StringAttribute{Optional: true, MarkdownDescription: "The namespace. Default `\"default\"`."},
		},
	}
	attributes["history"] = historyAttribute()
	resp.Schema = schema.Schema{
		MarkdownDescription: "A deployment as it is now, with its history, whoever manages it. `rollback_available` tells whether every replica of the standby runs.",
		Attributes:          attributes,
	}
}

func (d *deploymentDataSource) Configure(_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse) {
	d.provider = configured(req.ProviderData)
}

func (d *deploymentDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var data deploymentDataModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &data)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := data.Name.ValueString()
	configured := data.platform(d.provider)
	platform, err := configured.open(ctx, name, 0)
	if err != nil {
		resp.Diagnostics.Append(openError(configured, err))
		return
	}
	defer platform.Close()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	status, archive, err := lookUp(ctx, name, platform)
	switch {
	case errors.Is(err, bluegreen.ErrNotFound):
		resp.Diagnostics.AddAttributeError(path.Root("name"), "There is no such deployment",
			fmt.Sprintf("No deployment called %q exists on the platform %q.", name, configured.kind()))
		return
	case err != nil:
		resp.Diagnostics.AddError("The deployment could not be read", sentence(err))
		return
	}
	data.observedModel = observe(configured.id(name).ValueString(), status, bluegreen.DefaultConfig().MinHealthyPercent).model()
	data.History = recordModels(status.Ledger.MergeHistory(archive))
	resp.Diagnostics.Append(resp.State.Set(ctx, data)...)
}

func lookUp(ctx context.Context, name string, platform bluegreen.Platform) (bluegreen.Status, []bluegreen.Record, error) {
	status, err := bluegreen.NewDeployer(name, platform, nil, "").Status(ctx)
	if err != nil {
		return status, nil, err
	}
	archive, err := platform.History(ctx)
	return status, archive, err
}
