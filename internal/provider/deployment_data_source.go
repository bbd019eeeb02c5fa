// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var _ datasource.DataSourceWithConfigure = (*deploymentDataSource)(nil)

// deploymentDataSource is the data source bluegreen_deployment. It reads the platform,
// not the Terraform state.
type deploymentDataSource struct {
	provider providerModel
}

type deploymentDataModel struct {
	Name types.String `tfsdk:"name"`
	locationModel
	History types.List `tfsdk:"history"`
	observedModel
}

func newDeploymentDataSource() datasource.DataSource { return &deploymentDataSource{} }

func (d *deploymentDataSource) Metadata(
	_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = deploymentType
}

func (d *deploymentDataSource) Configure(
	_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse,
) {
	d.provider = modelOf(req.ProviderData)
}

func (d *deploymentDataSource) Read(ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse) {
	var data deploymentDataModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &data)...)
	if resp.Diagnostics.HasError() {
		return
	}
	name := data.Name.ValueString()
	where := data.location(d.provider)
	platform, err := where.open(ctx, name, openSettings{})
	if err != nil {
		resp.Diagnostics.Append(openError(where, err))
		return
	}
	defer platform.Close()
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	status, archive, err := readWithHistory(ctx, name, platform)
	switch {
	case errors.Is(err, bluegreen.ErrNotFound):
		resp.Diagnostics.AddAttributeError(path.Root("name"), "There is no such deployment",
			fmt.Sprintf("No deployment called %q exists on the platform %q.", name, where.kind()))
		return
	case err != nil:
		resp.Diagnostics.AddError("The deployment could not be read", sentence(err))
		return
	}
	resp.Diagnostics.Append(outageWarning(status, func(text string) string { return text })...)
	resp.Diagnostics.Append(lostLedgerWarning(status)...)
	data.observedModel = observeForOthers(where.id(name).ValueString(), status)
	data.History = historyList(status.Ledger.MergeHistory(archive))
	resp.Diagnostics.Append(resp.State.Set(ctx, data)...)
}

// observeForOthers translates a status into attributes for a configuration that does not manage
// the deployment. The answers of replicas may contain secrets that such a configuration does
// not know, and so cannot mask.
func observeForOthers(id string, status bluegreen.Status) observedModel {
	status.StandbyCauses = nil
	return observe(id, status, bluegreen.DefaultConfig().MinHealthyPercent).model()
}

func readWithHistory(
	ctx context.Context, name string, platform bluegreen.Platform,
) (bluegreen.Status, []bluegreen.Record, error) {
	status, err := bluegreen.NewDeployer(name, platform, nil, "").Status(ctx)
	if err != nil {
		return status, nil, err
	}
	archive, err := platform.History(ctx)
	return status, archive, err
}
