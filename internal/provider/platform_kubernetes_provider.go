// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes"
)

// kubernetesProviderModel is the kubernetes block of the provider.
type kubernetesProviderModel struct {
	ConfigPath           types.String `tfsdk:"config_path"`
	ConfigPaths          types.List   `tfsdk:"config_paths"`
	ConfigContext        types.String `tfsdk:"config_context"`
	Host                 types.String `tfsdk:"host"`
	Token                types.String `tfsdk:"token"`
	ClusterCACertificate types.String `tfsdk:"cluster_ca_certificate"`
	ClientCertificate    types.String `tfsdk:"client_certificate"`
	ClientKey            types.String `tfsdk:"client_key"`
	Insecure             types.Bool   `tfsdk:"insecure"`
	ProxyURL             types.String `tfsdk:"proxy_url"`
	Exec                 types.Object `tfsdk:"exec"`
}

type kubernetesExecModel struct {
	APIVersion types.String `tfsdk:"api_version"`
	Command    types.String `tfsdk:"command"`
	Args       types.List   `tfsdk:"args"`
	Env        types.Map    `tfsdk:"env"`
}

// isKnown reports whether all values that choose the cluster are known.
func (m kubernetesProviderModel) isKnown(ctx context.Context) bool {
	return isFullyKnown(ctx, m.ConfigPath, m.ConfigPaths, m.ConfigContext, m.Host, m.Token, m.ClusterCACertificate,
		m.ClientCertificate, m.ClientKey, m.Insecure, m.ProxyURL, m.Exec)
}

// newClient returns a client that connects when it is first used. It returns nil
// while the cluster is unknown.
func (m *kubernetesProviderModel) newClient(ctx context.Context) (*kubernetes.Client, diag.Diagnostics) {
	if m == nil {
		return kubernetes.NewClient(kubernetes.ClientConfig{}), nil
	}
	if !m.isKnown(ctx) {
		return nil, nil
	}
	config := kubernetes.ClientConfig{
		Context:              m.ConfigContext.ValueString(),
		Host:                 m.Host.ValueString(),
		Token:                m.Token.ValueString(),
		ClusterCACertificate: m.ClusterCACertificate.ValueString(),
		ClientCertificate:    m.ClientCertificate.ValueString(),
		ClientKey:            m.ClientKey.ValueString(),
		Insecure:             m.Insecure.ValueBool(),
		ProxyURL:             m.ProxyURL.ValueString(),
	}
	diags := m.ConfigPaths.ElementsAs(ctx, &config.ConfigPaths, false)
	if isSet(m.ConfigPath) {
		config.ConfigPaths = []string{m.ConfigPath.ValueString()}
	}
	if isSet(m.Exec) {
		plugin := block[kubernetesExecModel](m.Exec)
		config.Exec = &kubernetes.ExecConfig{
			APIVersion: plugin.APIVersion.ValueString(), Command: plugin.Command.ValueString(),
		}
		diags.Append(plugin.Args.ElementsAs(ctx, &config.Exec.Args, false)...)
		diags.Append(plugin.Env.ElementsAs(ctx, &config.Exec.Env, false)...)
	}
	return kubernetes.NewClient(config), diags
}
