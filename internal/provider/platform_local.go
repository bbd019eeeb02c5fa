// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// kindLocal runs processes on this machine.
const kindLocal = "local"

// agentIdleVariable holds a duration: how long an agent that this provider starts
// stays when it has no deployment. Tests and demos set it to leave nothing behind.
const agentIdleVariable = "BLUEGREEN_AGENT_IDLE"

// localModel is the local block of a resource.
type localModel struct {
	Listen        types.String `tfsdk:"listen"`
	PreviewListen types.String `tfsdk:"preview_listen"`
	Protocol      types.String `tfsdk:"protocol"`
	processModel
	routerModel
}

var (
	_ configuredPlatform = localPlatform{}
	_ workload           = localModel{}
)

// localPlatform is the local platform of one deployment.
type localPlatform struct {
	localModel
	stateDir types.String
	ports    types.String
}

func newLocalPlatform(deployment localModel, provider *localProviderModel) localPlatform {
	p := localPlatform{localModel: deployment}
	if provider != nil {
		p.stateDir, p.ports = provider.StateDir, provider.ReplicaPorts
	}
	return p
}

func (p localPlatform) kind() string { return kindLocal }

func (p localPlatform) namespace() types.String { return types.StringNull() }

func (p localPlatform) id(name string) types.String { return types.StringValue(name) }

func (p localPlatform) endpoints(_ string, prior location, before endpoints) endpoints {
	former, _ := prior.(localPlatform)
	return endpoints{
		listener{p.Listen, p.Protocol}.endpoint(listener{former.Listen, former.Protocol}, before.live),
		listener{p.PreviewListen, p.Protocol}.endpoint(
			listener{former.PreviewListen, former.Protocol}, before.preview),
	}
}

func (p localPlatform) protocol() protocol.Protocol {
	if p.Protocol.ValueString() == string(protocol.TCP) {
		return protocol.TCP
	}
	return protocol.HTTP
}

// errStateDirUnknown: no operation uses the default directory while the configured
// one is unknown.
var errStateDirUnknown = errors.New("local.state_dir of the provider is not known yet: " +
	"it depends on a resource that has not been applied")

func (p localPlatform) open(_ context.Context, name string, s openSettings) (openPlatform, error) {
	if p.stateDir.IsUnknown() {
		return nil, errStateDirUnknown
	}
	command, err := agentCommand()
	if err != nil {
		return nil, err
	}
	front := local.Frontend{
		Listen:        []string{p.Listen.ValueString()},
		PreviewListen: p.PreviewListen.ValueString(),
		Protocol:      p.protocol(),
		DrainTimeout:  s.drainTimeout,
	}
	if err := p.configure(&front, local.AccessLogFile); err != nil {
		return nil, err
	}
	platform, err := local.New(local.Options{
		StateDir:     p.stateDir.ValueString(),
		Name:         name,
		Frontend:     front,
		Upkeep:       s.upkeep.forAgent(),
		Ports:        p.ports.ValueString(),
		AgentCommand: command,
		Warn:         s.warn,
	})
	if err != nil {
		return nil, err
	}
	return platform, nil
}

// agentCommand returns nil for the platform's default, and a command of its own if
// agentIdleVariable is set.
func agentCommand() ([]string, error) {
	idle := os.Getenv(agentIdleVariable)
	if idle == "" {
		return nil, nil
	}
	if _, err := time.ParseDuration(idle); err != nil {
		return nil, fmt.Errorf("%s: %w", agentIdleVariable, err)
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("finding the agent: %w", err)
	}
	return []string{self, "agent", "-linger", idle}, nil
}

func (p localPlatform) names(context.Context) ([]string, error) {
	if p.stateDir.IsUnknown() {
		return nil, errStateDirUnknown
	}
	return local.DeploymentNames(p.stateDir.ValueString())
}

func (p localPlatform) attributeOf(err error) (path.Path, bool) {
	var address *local.AddressError
	var image *local.ImageError
	var setting *local.SettingError
	switch {
	case errors.As(err, &setting):
		return path.Root(kindLocal).AtName(setting.Setting), true
	case errors.As(err, &address) && address.Preview:
		return path.Root(kindLocal).AtName("preview_listen"), true
	case errors.As(err, &address):
		return path.Root(kindLocal).AtName("listen"), true
	case errors.As(err, &image):
		return path.Root("image"), true
	default:
		return path.Empty(), false
	}
}

// check tests the image, the user and the addresses on this machine.
func (p localPlatform) check(name string, release plannedRelease, prior location) findings {
	var found findings
	if release.isDeployed {
		p.checkRelease(release, &found)
	}
	if p.stateDir.IsUnknown() {
		return found
	}
	opened, err := p.open(context.Background(), name, openSettings{})
	if err != nil {
		found.obstacles.Append(openError(p, err))
		return found
	}
	opened.Close()
	former, isLocal := prior.(localPlatform)
	for _, address := range []struct {
		attribute      string
		listen, former types.String
	}{{"listen", p.Listen, former.Listen}, {"preview_listen", p.PreviewListen, former.PreviewListen}} {
		if isSet(address.listen) && !address.listen.Equal(address.former) {
			p.checkAddress(name, address.attribute, address.listen.ValueString(), isLocal, &found)
		}
	}
	if isSet(p.Listen) && p.Listen.Equal(p.PreviewListen) {
		found.refused.Append(
			addressError("preview_listen", p.PreviewListen.ValueString(), "listen has the same address"))
	}
	return found
}

// checkRelease tests what the release is made of.
func (p localPlatform) checkRelease(release plannedRelease, found *findings) {
	if err := local.CheckImage(context.Background(), p.imageOf(release)); err != nil {
		found.obstacles.AddAttributeError(path.Root("image"), "The image cannot be deployed", sentence(err))
	}
	if p.User.IsNull() {
		// A group alone has no effect on any machine.
		found.refused.Append(p.checkUser()...)
	} else {
		found.obstacles.Append(p.checkUser()...)
	}
}

// checkAddress tests whether the deployment can listen on an address that it does not listen on
// yet. isPresent says that it is there already, with other addresses.
func (p localPlatform) checkAddress(name, attribute, address string, isPresent bool, found *findings) {
	if err := local.CheckAddress(address); err != nil {
		found.refused.Append(addressError(attribute, address, describeAddress(err)))
		return
	}
	err := local.CheckListen(p.stateDir.ValueString(), name, address)
	if err == nil {
		return
	}
	finding := diag.Diagnostics{addressError(attribute, address, describeAddress(err))}
	var taken *local.AddressError
	if !isPresent || errors.As(err, &taken) && taken.Deployment != "" {
		// The same plan may destroy or move what has the address.
		finding = ifTheyLast(finding)
	}
	found.obstacles.Append(finding...)
}

// describeAddress says why an address cannot be used, without the address itself.
func describeAddress(err error) string {
	var address *local.AddressError
	var malformed *net.AddrError
	switch {
	case errors.As(err, &address) && address.Deployment != "":
		return fmt.Sprintf("the deployment %q uses this address. If this configuration moves or destroys that one, "+
			"make sure with depends_on that it does so first", address.Deployment)
	case errors.As(err, &malformed):
		return malformed.Err
	case errors.As(err, &address):
		return inWords(address.Err)
	default:
		return inWords(err)
	}
}

func addressError(attribute, address, problem string) diag.Diagnostic {
	return attributeError(
		path.Root(kindLocal).AtName(attribute),
		"The address cannot be used",
		fmt.Sprintf("is %q: %s", address, problem),
	)
}

func (p localPlatform) canProbeOtherPorts() bool { return false }

func (p localPlatform) conflicts(checks health.Config) diag.Diagnostics {
	return p.routerModel.conflicts(kindLocal, p.Protocol, checks)
}

func (p localPlatform) withoutEffect(healthSettings) diag.Diagnostics { return nil }

func (m localModel) canAdopt() bool { return false }

func (m localModel) canAutoscale() bool { return false }
