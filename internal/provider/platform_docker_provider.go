// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"

	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/docker"
)

// dockerProviderModel is the docker block of the provider.
type dockerProviderModel struct {
	Host         types.String `tfsdk:"host"`
	Context      types.String `tfsdk:"context"`
	CertPath     types.String `tfsdk:"cert_path"`
	CAMaterial   types.String `tfsdk:"ca_material"`
	CertMaterial types.String `tfsdk:"cert_material"`
	KeyMaterial  types.String `tfsdk:"key_material"`
	SSHOpts      types.List   `tfsdk:"ssh_opts"`
	RegistryAuth types.List   `tfsdk:"registry_auth"`
	AgentName    types.String `tfsdk:"agent_name"`
}

type registryAuthModel struct {
	Address  types.String `tfsdk:"address"`
	Username types.String `tfsdk:"username"`
	Password types.String `tfsdk:"password"`
}

// errProviderUnknown: no connection is made with a default for a value that is
// unknown. The default may be another machine.
var errProviderUnknown = errors.New("the configuration of the provider is not known yet: " +
	"it depends on a resource that has not been applied")

// isKnown reports whether all values that choose the host are known.
func (m *dockerProviderModel) isKnown(ctx context.Context) bool {
	return m == nil || isFullyKnown(ctx, m.Host, m.Context, m.CertPath, m.CAMaterial, m.CertMaterial,
		m.KeyMaterial, m.SSHOpts, m.RegistryAuth, m.AgentName)
}

// newHost returns what all deployments on the host share, nil while the host is
// unknown.
func (m *dockerProviderModel) newHost(ctx context.Context) *docker.Host {
	connection, err := m.connection(ctx)
	if err != nil {
		return nil
	}
	return docker.NewHost(connection, m.agentName())
}

// agentName returns "" for the default.
func (m *dockerProviderModel) agentName() string {
	if m == nil {
		return ""
	}
	return m.AgentName.ValueString()
}

func (m *dockerProviderModel) connection(ctx context.Context) (docker.Connection, error) {
	if m == nil {
		return docker.Connection{}, nil
	}
	if !m.isKnown(ctx) {
		return docker.Connection{}, errProviderUnknown
	}
	c := docker.Connection{
		Host:     m.Host.ValueString(),
		Context:  m.Context.ValueString(),
		CertPath: m.CertPath.ValueString(),
		CA:       m.CAMaterial.ValueString(),
		Cert:     m.CertMaterial.ValueString(),
		Key:      m.KeyMaterial.ValueString(),
	}
	var registries []registryAuthModel
	diags := m.SSHOpts.ElementsAs(ctx, &c.SSHOptions, false)
	diags.Append(m.RegistryAuth.ElementsAs(ctx, &registries, false)...)
	if diags.HasError() {
		return c, errProviderUnknown
	}
	for _, r := range registries {
		c.Registries = append(c.Registries, docker.Registry{
			Address: r.Address.ValueString(), Username: r.Username.ValueString(), Password: r.Password.ValueString(),
		})
	}
	return c, nil
}
