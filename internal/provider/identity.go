// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// identityModel tells a deployment from every other one that the provider reaches.
type identityModel struct {
	Name      types.String `tfsdk:"name"`
	Platform  types.String `tfsdk:"platform"`
	Namespace types.String `tfsdk:"namespace"`
}

func (r *deploymentResource) IdentitySchema(_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"name":      identityschema.StringAttribute{RequiredForImport: true, Description: "The name of the deployment."},
			"platform":  identityschema.StringAttribute{OptionalForImport: true, Description: `The platform it runs on: "local", the default, "docker" or "kubernetes".`},
			"namespace": identityschema.StringAttribute{OptionalForImport: true, Description: `The namespace on Kubernetes, "default" unless given; null elsewhere.`},
		},
	}
}

func (o operation) identity() identityModel {
	identity := identityModel{Name: types.StringValue(o.name), Platform: types.StringValue(o.platform.kind())}
	if p, ok := o.platform.(kubernetesPlatform); ok {
		identity.Namespace = types.StringValue(p.namespace())
	}
	return identity
}

// identityOf reads the id attribute of a deployment: NAME on local, docker://NAME,
// and NAMESPACE/NAME on Kubernetes.
func identityOf(id string) identityModel {
	if name, ok := strings.CutPrefix(id, kindDocker+"://"); ok {
		return identityModel{Name: types.StringValue(name), Platform: types.StringValue(kindDocker)}
	}
	if namespace, name, ok := strings.Cut(id, "/"); ok {
		return identityModel{Name: types.StringValue(name), Platform: types.StringValue(kindKubernetes), Namespace: types.StringValue(namespace)}
	}
	return identityModel{Name: types.StringValue(id), Platform: types.StringValue(kindLocal)}
}

// ImportState takes over what exists by its id or by its identity. Read fills in
// the rest.
func (r *deploymentResource) ImportState(ctx context.Context, req resource.ImportStateRequest, resp *resource.ImportStateResponse) {
	identity := identityOf(req.ID)
	if req.ID == "" {
		resp.Diagnostics.Append(req.Identity.Get(ctx, &identity)...)
	}
	platform, namespace := stringOr(identity.Platform, kindLocal), stringOr(identity.Namespace, defaultNamespace)
	if !slices.Contains(kinds, platform) {
		resp.Diagnostics.AddError("Unknown platform", fmt.Sprintf("There is no platform %q: it is one of %s.", platform, strings.Join(kinds, ", ")))
	}
	for what, name := range map[string]string{"a deployment": identity.Name.ValueString(), "a namespace": namespace} {
		if !dnsLabel.MatchString(name) {
			resp.Diagnostics.AddError("Invalid import ID", fmt.Sprintf("%q is no name of %s, which is a DNS label. An ID is NAME on local, docker://NAME, or NAMESPACE/NAME on Kubernetes.", name, what))
		}
	}
	if resp.Diagnostics.HasError() {
		return
	}
	identity.Platform = types.StringValue(platform)
	resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root("name"), identity.Name)...)
	switch platform {
	case kindDocker:
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(kindDocker).AtName("protocol"), string(router.HTTP))...)
	case kindKubernetes:
		identity.Namespace = types.StringValue(namespace)
		resp.Diagnostics.Append(resp.State.SetAttribute(ctx, path.Root(kindKubernetes).AtName("namespace"), namespace)...)
	}
	resp.Diagnostics.Append(resp.Identity.Set(ctx, identity)...)
}
