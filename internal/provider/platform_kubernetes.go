// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-framework/types/basetypes"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes"
)

// kindKubernetes runs pods on a cluster.
const kindKubernetes = "kubernetes"

// kubernetesModel is the kubernetes block of a resource.
type kubernetesModel struct {
	Namespace      types.String         `tfsdk:"namespace"`
	Port           types.Int64          `tfsdk:"port"`
	Service        types.Object         `tfsdk:"service"`
	PodTemplate    jsontypes.Normalized `tfsdk:"pod_template"`
	RecycleStandby types.Bool           `tfsdk:"recycle_standby"`
	Adopt          types.Bool           `tfsdk:"adopt"`
}

type kubernetesServiceModel struct {
	Type        types.String `tfsdk:"type"`
	Port        types.Int64  `tfsdk:"port"`
	NodePort    types.Int64  `tfsdk:"node_port"`
	Annotations types.Map    `tfsdk:"annotations"`
	Labels      types.Map    `tfsdk:"labels"`
}

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

var _ platformConfig = kubernetesPlatform{}

// kubernetesPlatform is the Kubernetes platform as a deployment configures it.
type kubernetesPlatform struct {
	kubernetesModel
	// client is shared by all deployments of the provider.
	client *kubernetes.Client
}

func (p kubernetesPlatform) kind() string { return kindKubernetes }

func (p kubernetesPlatform) id(name string) types.String {
	if p.Namespace.IsUnknown() {
		return types.StringUnknown()
	}
	return types.StringValue(p.namespace() + "/" + name)
}

func (p kubernetesPlatform) namespace() string { return stringOr(p.Namespace, defaultNamespace) }

func (p kubernetesPlatform) reachesPorts() bool { return true }

// check looks at nothing outside: a plan leaves the cluster alone.
func (p kubernetesPlatform) check(name string, release plannedRelease, _ platformConfig) diag.Diagnostics {
	if !fullyKnown(context.Background(), p.Namespace, p.Port, p.Service, p.PodTemplate) {
		return nil
	}
	options, diags := p.options(context.Background(), name, 0)
	if diags.HasError() {
		return diags
	}
	if err := options.Validate(release.image); err != nil {
		attribute, known := p.explain(err)
		if !known {
			attribute = path.Root(kindKubernetes)
		}
		diags.Append(attributeError(attribute, "The deployment cannot run on Kubernetes like this", "is refused: "+err.Error()))
	}
	return diags
}

func (p kubernetesPlatform) sameEndpoints(prior platformConfig) bool {
	former, ok := prior.(kubernetesPlatform)
	return ok && p.Namespace.Equal(former.Namespace) && p.Port.Equal(former.Port) && p.Service.Equal(former.Service)
}

func (p kubernetesPlatform) settings(context.Context) (bluegreen.Settings, diag.Diagnostics) {
	return p.podSettings(), nil
}

func (p kubernetesPlatform) podSettings() kubernetes.PodSettings {
	return kubernetes.PodSettings{Port: int(p.Port.ValueInt64()), PodTemplate: p.PodTemplate.ValueString()}
}

func (p kubernetesPlatform) settingsKnown(ctx context.Context) bool {
	return fullyKnown(ctx, p.Namespace, p.Port, p.PodTemplate, p.Adopt)
}

func (p kubernetesPlatform) adopts() bool { return p.Adopt.ValueBool() }

func (p kubernetesPlatform) open(ctx context.Context, name string, drainTimeout time.Duration) (openPlatform, error) {
	if p.client == nil {
		return nil, errProviderUnknown
	}
	options, diags := p.options(ctx, name, drainTimeout)
	if diags.HasError() {
		return nil, errors.New(strings.ToLower(diags.Errors()[0].Detail()))
	}
	platform, err := kubernetes.New(p.client, options)
	if err != nil {
		return nil, err
	}
	return platform, nil
}

func (p kubernetesPlatform) options(ctx context.Context, name string, drainTimeout time.Duration) (kubernetes.Options, diag.Diagnostics) {
	options := kubernetes.Options{
		Namespace:      p.namespace(),
		Name:           name,
		PodSettings:    p.podSettings(),
		DrainTimeout:   drainTimeout,
		RecycleStandby: p.RecycleStandby.IsNull() || p.RecycleStandby.ValueBool(),
		Adopt:          p.Adopt.ValueBool(),
	}
	if !given(p.Service) {
		return options, nil
	}
	var service kubernetesServiceModel
	diags := p.Service.As(ctx, &service, basetypes.ObjectAsOptions{})
	options.Service = kubernetes.ServiceOptions{
		Type: service.Type.ValueString(), Port: int(service.Port.ValueInt64()), NodePort: int(service.NodePort.ValueInt64()),
	}
	diags.Append(service.Annotations.ElementsAs(ctx, &options.Service.Annotations, false)...)
	diags.Append(service.Labels.ElementsAs(ctx, &options.Service.Labels, false)...)
	return options, diags
}

func (p kubernetesPlatform) explain(err error) (path.Path, bool) {
	block := path.Root(kindKubernetes)
	var option *kubernetes.OptionError
	var template *kubernetes.TemplateError
	switch {
	case errors.As(err, &template):
		return block.AtName("pod_template"), true
	case errors.As(err, &option):
		for step := range strings.SplitSeq(option.Option, ".") {
			block = block.AtName(step)
		}
		return block, true
	default:
		return path.Empty(), false
	}
}

// known reports whether everything that says which cluster it is is known.
func (m kubernetesProviderModel) known(ctx context.Context) bool {
	return fullyKnown(ctx, m.ConfigPath, m.ConfigPaths, m.ConfigContext, m.Host, m.Token, m.ClusterCACertificate,
		m.ClientCertificate, m.ClientKey, m.Insecure, m.ProxyURL, m.Exec)
}

// newClient returns a client that connects when it is first used, nil while the
// configuration is not known.
func (m *kubernetesProviderModel) newClient(ctx context.Context) (*kubernetes.Client, diag.Diagnostics) {
	if m == nil {
		return kubernetes.NewClient(kubernetes.ClientConfig{}), nil
	}
	if !m.known(ctx) {
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
	if given(m.ConfigPath) {
		config.ConfigPaths = []string{m.ConfigPath.ValueString()}
	}
	if given(m.Exec) {
		var plugin kubernetesExecModel
		diags.Append(m.Exec.As(ctx, &plugin, basetypes.ObjectAsOptions{})...)
		config.Exec = &kubernetes.ExecConfig{APIVersion: plugin.APIVersion.ValueString(), Command: plugin.Command.ValueString()}
		diags.Append(plugin.Args.ElementsAs(ctx, &config.Exec.Args, false)...)
		diags.Append(plugin.Env.ElementsAs(ctx, &config.Exec.Env, false)...)
	}
	return kubernetes.NewClient(config), diags
}
