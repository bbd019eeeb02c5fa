// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-framework/list/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
)

var _ list.ListResourceWithConfigure = (*deploymentList)(nil)

// deploymentList lists deployments that exist, so that `terraform query` can import them.
type deploymentList struct{ deploymentResource }

func newDeploymentList() list.ListResource { return &deploymentList{} }

func (l *deploymentList) ListResourceConfigSchema(
	_ context.Context, _ list.ListResourceSchemaRequest, resp *list.ListResourceSchemaResponse,
) {
	block := func(kind string, attributes map[string]schema.Attribute) schema.Attribute {
		return schema.SingleNestedAttribute{
			Optional:            true,
			Validators:          []validator.Object{onlyPlatform(kind)},
			MarkdownDescription: describe("data." + kind),
			Attributes:          attributes,
		}
	}
	resp.Schema = schema.Schema{
		MarkdownDescription: describe("list"),
		Attributes: map[string]schema.Attribute{
			kindLocal:  block(kindLocal, map[string]schema.Attribute{}),
			kindDocker: block(kindDocker, map[string]schema.Attribute{}),
			kindKubernetes: block(kindKubernetes, map[string]schema.Attribute{
				"namespace": schema.StringAttribute{
					Optional:            true,
					MarkdownDescription: describe("data.kubernetes.namespace"),
				},
			}),
		},
	}
}

// List reads each deployment as an import does. One that cannot be read is listed with the error.
func (l *deploymentList) List(ctx context.Context, req list.ListRequest, stream *list.ListResultsStream) {
	var configured locationModel
	if diags := req.Config.Get(ctx, &configured); diags.HasError() {
		stream.Results = list.ListResultsStreamDiagnostics(diags)
		return
	}
	where := configured.location(l.provider)
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	names, err := where.names(reading)
	if err != nil {
		stream.Results = list.ListResultsStreamDiagnostics(diag.Diagnostics{namesDiagnostic(err)})
		return
	}
	stream.Results = func(push func(list.ListResult) bool) {
		listed := int64(0)
		for _, name := range names {
			result, isPresent := l.read(ctx, req, where.id(name).ValueString())
			if !isPresent {
				continue
			}
			if listed++; !push(result) || listed == req.Limit {
				return
			}
		}
	}
}

// read returns the deployment with this id. It returns false if it has been destroyed meanwhile, or
// if a destroy has left something of it.
func (l *deploymentList) read(ctx context.Context, req list.ListRequest, id string) (list.ListResult, bool) {
	result := req.NewListResult(ctx)
	result.DisplayName = id
	imported := resource.ImportStateResponse{
		State:    tfsdk.State{Schema: result.Resource.Schema, Raw: result.Resource.Raw},
		Identity: result.Identity,
	}
	l.ImportState(ctx, resource.ImportStateRequest{ID: id}, &imported)
	result.Diagnostics = imported.Diagnostics
	if !result.Diagnostics.HasError() {
		result.Diagnostics.Append(l.refresh(ctx, &imported.State, imported.Identity, privateKeys{})...)
	}
	if result.Diagnostics.HasError() {
		return result, true
	}
	isPresent := !imported.State.Raw.IsNull()
	if req.IncludeResource {
		result.Resource.Raw = imported.State.Raw
	}
	return result, isPresent
}

// namesDiagnostic says that the deployments of a location could not be listed.
func namesDiagnostic(err error) diag.Diagnostic {
	return diag.NewErrorDiagnostic("The deployments could not be listed", sentence(err))
}
