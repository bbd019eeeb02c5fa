// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/resource/identityschema"
	"github.com/hashicorp/terraform-plugin-framework/types"
)

// identityModel identifies a deployment among all that the provider can reach.
type identityModel struct {
	Name      types.String `tfsdk:"name"`
	Platform  types.String `tfsdk:"platform"`
	Namespace types.String `tfsdk:"namespace"`
}

func (r *deploymentResource) IdentitySchema(
	_ context.Context, _ resource.IdentitySchemaRequest, resp *resource.IdentitySchemaResponse,
) {
	resp.IdentitySchema = identityschema.Schema{
		Attributes: map[string]identityschema.Attribute{
			"name": identityschema.StringAttribute{
				RequiredForImport: true,
				Description:       "The name of the deployment.",
			},
			"platform": identityschema.StringAttribute{
				OptionalForImport: true,
				Description:       `The platform it runs on: "local", the default, "docker" or "kubernetes".`,
			},
			"namespace": identityschema.StringAttribute{
				OptionalForImport: true,
				Description:       `The namespace on Kubernetes, "default" unless set; null on the other platforms.`,
			},
		},
	}
}

func (o openDeployment) identity() identityModel {
	return identityModel{
		Name:      types.StringValue(o.name),
		Platform:  types.StringValue(o.location.kind()),
		Namespace: o.location.namespace(),
	}
}

// identityOf parses the id attribute of a deployment: NAME on local, docker://NAME,
// and NAMESPACE/NAME on Kubernetes.
func identityOf(id string) identityModel {
	if name, ok := strings.CutPrefix(id, kindDocker+"://"); ok {
		return identityModel{Name: types.StringValue(name), Platform: types.StringValue(kindDocker)}
	}
	if namespace, name, ok := strings.Cut(id, "/"); ok {
		return identityModel{
			Name:      types.StringValue(name),
			Platform:  types.StringValue(kindKubernetes),
			Namespace: types.StringValue(namespace),
		}
	}
	return identityModel{Name: types.StringValue(id), Platform: types.StringValue(kindLocal)}
}
