// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"time"

	"github.com/docker/go-units"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/docker"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// kindDocker runs containers on a Docker host.
const kindDocker = "docker"

// dockerModel is the docker block of a resource.
type dockerModel struct {
	Port         types.Int64   `tfsdk:"port"`
	Publish      types.List    `tfsdk:"publish"`
	Protocol     types.String  `tfsdk:"protocol"`
	Pull         types.String  `tfsdk:"pull"`
	AgentImage   types.String  `tfsdk:"agent_image"`
	ReplaceAgent types.Bool    `tfsdk:"replace_agent"`
	Network      types.String  `tfsdk:"network"`
	Volumes      types.List    `tfsdk:"volumes"`
	Memory       types.String  `tfsdk:"memory"`
	CPUs         types.Float64 `tfsdk:"cpus"`
	User         types.String  `tfsdk:"user"`
	ReadOnly     types.Bool    `tfsdk:"read_only"`
	Labels       types.Map     `tfsdk:"labels"`
	ExtraHosts   types.List    `tfsdk:"extra_hosts"`
	LogDriver    types.String  `tfsdk:"log_driver"`
	LogOptions   types.Map     `tfsdk:"log_options"`
}

type dockerVolumeModel struct {
	ContainerPath types.String `tfsdk:"container_path"`
	VolumeName    types.String `tfsdk:"volume_name"`
	HostPath      types.String `tfsdk:"host_path"`
	ReadOnly      types.Bool   `tfsdk:"read_only"`
}

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

var _ platformConfig = dockerPlatform{}

// dockerPlatform is the Docker platform as a deployment configures it.
type dockerPlatform struct {
	dockerModel
	// provider is nil where the provider has no such block.
	provider *dockerProviderModel
	// host is nil until the provider is configured.
	host *docker.Host
}

func (p dockerPlatform) kind() string { return kindDocker }

func (p dockerPlatform) id(name string) types.String {
	return types.StringValue(kindDocker + "://" + name)
}

// reachesPorts is false: what is dialled is what the agent was told of.
func (p dockerPlatform) reachesPorts() bool { return false }

// check looks at nothing outside: the host may be anywhere, and a plan leaves it alone.
func (p dockerPlatform) check(name string, _ plannedRelease, _ platformConfig) diag.Diagnostics {
	if !p.provider.known(context.Background()) {
		return nil
	}
	platform, err := p.open(context.Background(), name, 0)
	if err != nil {
		return diag.Diagnostics{openError(p, err)}
	}
	platform.Close()
	return nil
}

func (p dockerPlatform) sameEndpoints(prior platformConfig) bool {
	former, ok := prior.(dockerPlatform)
	return ok && p.Publish.Equal(former.Publish) && p.Protocol.Equal(former.Protocol)
}

func (p dockerPlatform) settings(ctx context.Context) (bluegreen.Settings, diag.Diagnostics) {
	w := docker.Workload{
		Port:      int(p.Port.ValueInt64()),
		Network:   p.Network.ValueString(),
		CPUs:      p.CPUs.ValueFloat64(),
		User:      p.User.ValueString(),
		ReadOnly:  p.ReadOnly.ValueBool(),
		LogDriver: p.LogDriver.ValueString(),
	}
	if given(p.Memory) {
		// The attribute's validator has refused what this could not read.
		w.Memory, _ = units.RAMInBytes(p.Memory.ValueString())
	}
	diags := p.Labels.ElementsAs(ctx, &w.Labels, false)
	diags.Append(p.ExtraHosts.ElementsAs(ctx, &w.ExtraHosts, false)...)
	diags.Append(p.LogOptions.ElementsAs(ctx, &w.LogOptions, false)...)
	var volumes []dockerVolumeModel
	diags.Append(p.Volumes.ElementsAs(ctx, &volumes, false)...)
	for _, v := range volumes {
		w.Volumes = append(w.Volumes, docker.Volume{
			Name: v.VolumeName.ValueString(), HostPath: v.HostPath.ValueString(), ContainerPath: v.ContainerPath.ValueString(), ReadOnly: v.ReadOnly.ValueBool(),
		})
	}
	return w, diags
}

func (p dockerPlatform) settingsKnown(ctx context.Context) bool {
	return fullyKnown(ctx, p.Port, p.Network, p.Volumes, p.Memory, p.CPUs, p.User, p.ReadOnly, p.Labels, p.ExtraHosts, p.LogDriver, p.LogOptions)
}

func (p dockerPlatform) adopts() bool { return false }

func (p dockerPlatform) open(ctx context.Context, name string, drainTimeout time.Duration) (openPlatform, error) {
	connection, err := p.provider.connection(ctx)
	if err != nil {
		return nil, err
	}
	listen, diags := texts(ctx, p.Publish)
	if diags.HasError() {
		return nil, errors.New("docker.publish is not known yet")
	}
	platform, err := docker.New(docker.Options{
		Host:       p.host,
		Connection: connection,
		Name:       name,
		Pull:       docker.PullPolicy(stringOr(p.Pull, string(docker.PullMissing))),
		Frontend:   agent.Frontend{Listen: listen, Protocol: router.Protocol(stringOr(p.Protocol, string(router.HTTP))), DrainTimeout: drainTimeout},
		Agent:      docker.Agent{Name: p.provider.agentName(), Image: p.AgentImage.ValueString(), Replace: p.ReplaceAgent.ValueBool()},
	})
	if err != nil {
		return nil, err
	}
	return platform, nil
}

func (p dockerPlatform) explain(err error) (path.Path, bool) {
	var address *agent.AddressError
	var image *docker.ImageError
	switch {
	case errors.As(err, &address):
		return path.Root(kindDocker).AtName("publish"), true
	case errors.As(err, &image):
		return path.Root("image"), true
	default:
		return path.Empty(), false
	}
}

// errProviderUnknown: a connection is never made with a default in the place of
// something that is not known yet, which could be another machine.
var errProviderUnknown = errors.New("the provider's configuration is not known yet: it depends on something that has not been applied")

// known reports whether everything that says which host it is is known.
func (m *dockerProviderModel) known(ctx context.Context) bool {
	return m == nil || fullyKnown(ctx, m.Host, m.Context, m.CertPath, m.CAMaterial, m.CertMaterial, m.KeyMaterial, m.SSHOpts, m.RegistryAuth, m.AgentName)
}

// newHost returns the host that all deployments share, or nil while it is not known.
func (m *dockerProviderModel) newHost(ctx context.Context) *docker.Host {
	connection, err := m.connection(ctx)
	if err != nil {
		return nil
	}
	return docker.NewHost(connection, m.agentName())
}

// agentName is "" for the default.
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
	if !m.known(ctx) {
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
		c.Registries = append(c.Registries, docker.Registry{Address: r.Address.ValueString(), Username: r.Username.ValueString(), Password: r.Password.ValueString()})
	}
	return c, nil
}
