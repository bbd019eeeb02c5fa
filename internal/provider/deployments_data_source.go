// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/hashicorp/terraform-plugin-framework/datasource"
	"github.com/hashicorp/terraform-plugin-framework/datasource/schema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

var _ datasource.DataSourceWithConfigure = (*deploymentsDataSource)(nil)

// deploymentsDataSource is the data source bluegreen_deployments. It lists what a machine, a
// host or a namespace has.
type deploymentsDataSource struct {
	provider providerModel
}

type deploymentsDataModel struct {
	locationModel
	Deployments []listedModel `tfsdk:"deployments"`
}

// listedModel is an element of deployments.
type listedModel struct {
	Name types.String `tfsdk:"name"`
	observedModel
}

func newDeploymentsDataSource() datasource.DataSource { return &deploymentsDataSource{} }

func (d *deploymentsDataSource) Metadata(
	_ context.Context, _ datasource.MetadataRequest, resp *datasource.MetadataResponse,
) {
	resp.TypeName = deploymentType + "s"
}

func (d *deploymentsDataSource) Schema(
	_ context.Context, _ datasource.SchemaRequest, resp *datasource.SchemaResponse,
) {
	listed := observedDataAttributes()
	listed["name"] = schema.StringAttribute{Computed: true, MarkdownDescription: describe("data.name")}
	attributes := map[string]schema.Attribute{
		"deployments": schema.ListNestedAttribute{
			Computed:            true,
			MarkdownDescription: describe("list.deployments"),
			NestedObject:        schema.NestedAttributeObject{Attributes: listed},
		},
	}
	maps.Copy(attributes, locationAttributes())
	resp.Schema = schema.Schema{MarkdownDescription: describe("list"), Attributes: attributes}
}

func (d *deploymentsDataSource) Configure(
	_ context.Context, req datasource.ConfigureRequest, _ *datasource.ConfigureResponse,
) {
	d.provider = modelOf(req.ProviderData)
}

// Read lists the deployments. One that cannot be read is an error with its name: a list without
// it would look complete.
func (d *deploymentsDataSource) Read(
	ctx context.Context, req datasource.ReadRequest, resp *datasource.ReadResponse,
) {
	var data deploymentsDataModel
	resp.Diagnostics.Append(req.Config.Get(ctx, &data)...)
	if resp.Diagnostics.HasError() {
		return
	}
	where := data.location(d.provider)
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	names, err := where.names(ctx)
	if err != nil {
		resp.Diagnostics.Append(namesDiagnostic(err))
		return
	}
	data.Deployments = []listedModel{}
	for _, name := range names {
		status, err := readListed(ctx, where, name)
		switch {
		case errors.Is(err, bluegreen.ErrNotFound):
			// It has been destroyed meanwhile, or a destroy has left something.
		case err != nil:
			resp.Diagnostics.AddError(fmt.Sprintf("The deployment %q could not be read", name), sentence(err))
		default:
			resp.Diagnostics.Append(outageWarning(status, func(text string) string {
				return fmt.Sprintf("Deployment %q: %s", name, text)
			})...)
			resp.Diagnostics.Append(lostLedgerWarning(status)...)
			observed := observeForOthers(where.id(name).ValueString(), status)
			data.Deployments = append(data.Deployments, listedModel{types.StringValue(name), observed})
		}
	}
	if !resp.Diagnostics.HasError() {
		resp.Diagnostics.Append(resp.State.Set(ctx, data)...)
	}
}

func readListed(ctx context.Context, where location, name string) (bluegreen.Status, error) {
	platform, err := where.open(ctx, name, openSettings{})
	if err != nil {
		return bluegreen.Status{}, err
	}
	defer platform.Close()
	return bluegreen.NewDeployer(name, platform, nil, "").Status(ctx)
}
