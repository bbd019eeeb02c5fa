// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"strings"

	"github.com/hashicorp/terraform-plugin-framework-jsontypes/jsontypes"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
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

var (
	_ configuredPlatform = kubernetesPlatform{}
	_ workload           = kubernetesModel{}
)

// kubernetesPlatform is the Kubernetes platform of one deployment.
type kubernetesPlatform struct {
	kubernetesModel
	// client is shared by all deployments of the provider. It is nil while the
	// cluster is unknown.
	client *kubernetes.Client
}

func (p kubernetesPlatform) kind() string { return kindKubernetes }

func (p kubernetesPlatform) namespace() types.String { return types.StringValue(p.namespaceName()) }

func (p kubernetesPlatform) namespaceName() string { return stringOr(p.Namespace, defaultNamespace) }

func (p kubernetesPlatform) id(name string) types.String {
	if p.Namespace.IsUnknown() {
		return types.StringUnknown()
	}
	return types.StringValue(p.namespaceName() + "/" + name)
}

func (p kubernetesPlatform) endpoints(name string, prior location, before endpoints) endpoints {
	former, isPresent := prior.(kubernetesPlatform)
	if isPresent && p.Namespace.Equal(former.Namespace) && p.Port.Equal(former.Port) &&
		p.Service.Equal(former.Service) {
		return before
	}
	unknown := endpoints{types.StringUnknown(), types.StringUnknown()}
	if !isFullyKnown(context.Background(), p.Namespace, p.Port, p.Service, p.Adopt) {
		return unknown
	}
	options, diags := p.options(context.Background(), name, openSettings{})
	if diags.HasError() || p.Adopt.ValueBool() {
		// An adopted Service keeps what is not configured.
		return unknown
	}
	planned := endpoints{types.StringUnknown(), types.StringValue(options.PreviewEndpoint())}
	if live := options.Endpoint(); live != "" && (!isPresent || isInCluster(before.live)) {
		planned.live = types.StringValue(live)
	}
	return planned
}

// isInCluster reports whether an endpoint is the name of a Service, and not that of a load
// balancer, which may stay for a while.
func isInCluster(endpoint types.String) bool {
	return strings.Contains(endpoint.ValueString(), ".svc:")
}

func (p kubernetesPlatform) open(ctx context.Context, name string, s openSettings) (openPlatform, error) {
	if p.client == nil {
		return nil, errProviderUnknown
	}
	options, diags := p.options(ctx, name, s)
	if diags.HasError() {
		return nil, errors.New(strings.ToLower(diags.Errors()[0].Detail()))
	}
	platform, err := kubernetes.New(p.client, options)
	if err != nil {
		return nil, err
	}
	return platform, nil
}

func (p kubernetesPlatform) options(
	ctx context.Context, name string, s openSettings,
) (kubernetes.Options, diag.Diagnostics) {
	options := kubernetes.Options{
		Namespace:      p.namespaceName(),
		Name:           name,
		PodSettings:    p.podSettings(),
		HealthCheck:    &s.checks,
		DrainTimeout:   s.drainTimeout,
		RecycleStandby: p.RecycleStandby.IsNull() || p.RecycleStandby.ValueBool(),
		Adopt:          p.Adopt.ValueBool(),
		Key:            s.key,
	}
	if s.upkeep != nil {
		options.UnhealthyThreshold = s.upkeep.unhealthyThreshold
	}
	if !isSet(p.Service) {
		return options, nil
	}
	service := block[kubernetesServiceModel](p.Service)
	options.Service = kubernetes.ServiceOptions{
		Type:     service.Type.ValueString(),
		Port:     int(service.Port.ValueInt64()),
		NodePort: int(service.NodePort.ValueInt64()),
	}
	diags := service.Annotations.ElementsAs(ctx, &options.Service.Annotations, false)
	diags.Append(service.Labels.ElementsAs(ctx, &options.Service.Labels, false)...)
	return options, diags
}

func (p kubernetesPlatform) names(ctx context.Context) ([]string, error) {
	if p.client == nil {
		return nil, errProviderUnknown
	}
	return kubernetes.DeploymentNames(ctx, p.client, p.namespaceName())
}

func (p kubernetesPlatform) attributeOf(err error) (path.Path, bool) {
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

// check does not connect to the cluster.
func (p kubernetesPlatform) check(name string, release plannedRelease, _ location) (found findings) {
	if !isFullyKnown(context.Background(), p.Namespace, p.Port, p.Service, p.PodTemplate) {
		return found
	}
	var options kubernetes.Options
	if options, found.refused = p.options(context.Background(), name, openSettings{}); found.refused.HasError() {
		return found
	}
	if err := options.Validate(release.image); err != nil {
		attribute, isFound := p.attributeOf(err)
		if !isFound {
			attribute = path.Root(kindKubernetes)
		}
		found.refused.Append(
			attributeError(attribute, "The deployment cannot run on Kubernetes", "is not valid: "+err.Error()))
	}
	return found
}

func (p kubernetesPlatform) conflicts(health.Config) diag.Diagnostics { return nil }

func (p kubernetesPlatform) canProbeOtherPorts() bool { return true }

func (p kubernetesPlatform) withoutEffect(healthSettings) diag.Diagnostics { return nil }

func (m kubernetesModel) settings(context.Context) (bluegreen.Settings, diag.Diagnostics) {
	return m.podSettings(), nil
}

func (m kubernetesModel) podSettings() kubernetes.PodSettings {
	return kubernetes.PodSettings{Port: int(m.Port.ValueInt64()), PodTemplate: m.PodTemplate.ValueString()}
}

func (m kubernetesModel) isKnown(ctx context.Context) bool {
	return isFullyKnown(ctx, m.Namespace, m.Port, m.PodTemplate, m.Adopt)
}

func (m kubernetesModel) canAdopt() bool { return m.Adopt.ValueBool() }

func (m kubernetesModel) canAutoscale() bool { return true }
