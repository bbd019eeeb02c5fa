// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"

	"github.com/docker/go-units"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/docker"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
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
	WatchEngine  types.Bool    `tfsdk:"watch_engine"`
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
	routerModel
}

type dockerVolumeModel struct {
	ContainerPath types.String `tfsdk:"container_path"`
	VolumeName    types.String `tfsdk:"volume_name"`
	HostPath      types.String `tfsdk:"host_path"`
	ReadOnly      types.Bool   `tfsdk:"read_only"`
}

var (
	_ configuredPlatform = dockerPlatform{}
	_ workload           = dockerModel{}
)

// dockerPlatform is the Docker platform of one deployment.
type dockerPlatform struct {
	dockerModel
	// provider is nil if the provider has no such block.
	provider *dockerProviderModel
	// host is nil until the provider is configured.
	host *docker.Host
}

func (p dockerPlatform) kind() string { return kindDocker }

func (p dockerPlatform) namespace() types.String { return types.StringNull() }

func (p dockerPlatform) id(name string) types.String {
	return types.StringValue(kindDocker + "://" + name)
}

func (p dockerPlatform) endpoints(_ string, prior location, before endpoints) endpoints {
	former, _ := prior.(dockerPlatform)
	anyPort := types.StringNull()
	return endpoints{
		listener{p.firstAddress(), p.Protocol}.endpoint(listener{former.firstAddress(), former.Protocol}, before.live),
		listener{anyPort, p.Protocol}.endpoint(listener{anyPort, former.Protocol}, before.preview),
	}
}

// firstAddress is the one in publish that clients are told, null for a free port.
func (m dockerModel) firstAddress() types.String {
	if m.Publish.IsUnknown() {
		return types.StringUnknown()
	}
	if addresses := m.Publish.Elements(); len(addresses) > 0 {
		first, _ := addresses[0].(types.String)
		return first
	}
	return types.StringNull()
}

func (p dockerPlatform) open(ctx context.Context, name string, s openSettings) (openPlatform, error) {
	connection, err := p.provider.connection(ctx)
	if err != nil {
		return nil, err
	}
	listen, diags := texts(ctx, p.Publish)
	if diags.HasError() {
		return nil, errors.New("docker.publish is not known yet")
	}
	front := docker.Frontend{
		Listen:       listen,
		Protocol:     protocol.Protocol(stringOr(p.Protocol, string(protocol.HTTP))),
		DrainTimeout: s.drainTimeout,
	}
	if err := p.configure(&front, docker.AccessLogStdout); err != nil {
		return nil, err
	}
	platform, err := docker.New(docker.Options{
		Host:       p.host,
		Connection: connection,
		Name:       name,
		Pull:       docker.PullPolicy(stringOr(p.Pull, string(docker.PullChanged))),
		Warn:       s.warn,
		Frontend:   front,
		Upkeep:     p.upkeep(s),
		Agent: docker.Agent{
			Name:    p.provider.agentName(),
			Image:   p.AgentImage.ValueString(),
			Replace: p.ReplaceAgent.ValueBool(),
		},
	})
	if err != nil {
		return nil, err
	}
	return platform, nil
}

func (p dockerPlatform) names(ctx context.Context) ([]string, error) {
	host := p.host
	if host == nil {
		connection, err := p.provider.connection(ctx)
		if err != nil {
			return nil, err
		}
		host = docker.NewHost(connection, p.provider.agentName())
	}
	return host.DeploymentNames(ctx)
}

// upkeep is what the agent is asked for, nil unless something is applied.
func (p dockerPlatform) upkeep(s openSettings) *docker.Upkeep {
	asked := s.upkeep.forAgent()
	if asked != nil {
		asked.WatchesEngine = p.WatchEngine.ValueBool()
	}
	return asked
}

func (p dockerPlatform) attributeOf(err error) (path.Path, bool) {
	var address *docker.AddressError
	var image *docker.ImageError
	var socket *docker.SocketError
	switch {
	case errors.As(err, &socket):
		return path.Root(kindDocker).AtName("watch_engine"), true
	case errors.As(err, &address):
		return path.Root(kindDocker).AtName("publish"), true
	case errors.As(err, &image):
		return path.Root("image"), true
	default:
		return path.Empty(), false
	}
}

// check does not connect: the host may be anywhere.
func (p dockerPlatform) check(name string, _ plannedRelease, _ location) (found findings) {
	if !p.provider.isKnown(context.Background()) {
		return found
	}
	platform, err := p.open(context.Background(), name, openSettings{})
	if err != nil {
		found.obstacles.Append(openError(p, err))
		return found
	}
	platform.Close()
	return found
}

// canProbeOtherPorts is false: the agent dials only the port that it was given.
func (p dockerPlatform) canProbeOtherPorts() bool { return false }

func (p dockerPlatform) conflicts(checks health.Config) diag.Diagnostics {
	return p.routerModel.conflicts(kindDocker, p.Protocol, checks)
}

// withoutEffect warns of the settings that only the engine can follow between two applies,
// if the agent has no access to it.
func (p dockerPlatform) withoutEffect(settings healthSettings) diag.Diagnostics {
	var diags diag.Diagnostics
	if p.WatchEngine.IsUnknown() || p.WatchEngine.ValueBool() {
		return nil
	}
	warn := func(name, effect string) {
		// Terraform shows one of several warnings with the same summary.
		diags.AddAttributeWarning(path.Root("health_check").AtName(name),
			"health_check."+name+" has no effect between applies",
			effect+" Set docker.watch_engine = true to give the agent this access; "+
				"the reference says what that gives away.")
	}
	if settings.checks.Exec != nil {
		warn("exec", "The command runs in the check and the watch of an apply. The agent does not run it afterwards, "+
			"because it has no access to the Docker engine.")
	}
	if settings.restartAfter > 0 {
		warn("restart_after", "The agent restarts no container, because it has no access to the Docker engine.")
	}
	return diags
}

func (m dockerModel) settings(ctx context.Context) (bluegreen.Settings, diag.Diagnostics) {
	w := docker.Workload{
		Port:      int(m.Port.ValueInt64()),
		Network:   m.Network.ValueString(),
		CPUs:      m.CPUs.ValueFloat64(),
		User:      m.User.ValueString(),
		ReadOnly:  m.ReadOnly.ValueBool(),
		LogDriver: m.LogDriver.ValueString(),
	}
	if isSet(m.Memory) {
		// The attribute's validator has refused what this could not read.
		w.Memory, _ = units.RAMInBytes(m.Memory.ValueString())
	}
	diags := m.Labels.ElementsAs(ctx, &w.Labels, false)
	diags.Append(m.ExtraHosts.ElementsAs(ctx, &w.ExtraHosts, false)...)
	diags.Append(m.LogOptions.ElementsAs(ctx, &w.LogOptions, false)...)
	var volumes []dockerVolumeModel
	diags.Append(m.Volumes.ElementsAs(ctx, &volumes, false)...)
	for _, v := range volumes {
		w.Volumes = append(w.Volumes, docker.Volume{
			Name:          v.VolumeName.ValueString(),
			HostPath:      v.HostPath.ValueString(),
			ContainerPath: v.ContainerPath.ValueString(),
			ReadOnly:      v.ReadOnly.ValueBool(),
		})
	}
	return w, diags
}

func (m dockerModel) isKnown(ctx context.Context) bool {
	return isFullyKnown(ctx, m.Port, m.Network, m.Volumes, m.Memory, m.CPUs, m.User, m.ReadOnly, m.Labels,
		m.ExtraHosts, m.LogDriver, m.LogOptions)
}

func (m dockerModel) canAdopt() bool { return false }

func (m dockerModel) canAutoscale() bool { return false }
