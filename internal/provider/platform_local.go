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

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
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
}

func newLocalPlatform(deployment localModel, provider *localProviderModel) localPlatform {
	p := localPlatform{localModel: deployment}
	if provider != nil {
		p.stateDir = provider.StateDir
	}
	return p
}

func (p localPlatform) kind() string { return kindLocal }

func (p localPlatform) namespace() types.String { return types.StringNull() }

func (p localPlatform) id(name string) types.String { return types.StringValue(name) }

func (p localPlatform) hasSameEndpoints(prior location) bool {
	former, ok := prior.(localPlatform)
	return ok && p.Listen.Equal(former.Listen) && p.PreviewListen.Equal(former.PreviewListen) &&
		!p.Protocol.IsUnknown() && p.protocol() == former.protocol()
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
		AgentCommand: command,
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

func (p localPlatform) attributeOf(err error) (path.Path, bool) {
	var address *local.AddressError
	var image *local.ImageError
	switch {
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

// check tests the image and the addresses on this machine.
func (p localPlatform) check(name string, release plannedRelease, prior location) diag.Diagnostics {
	var diags diag.Diagnostics
	if release.isDeployed {
		if err := local.CheckImage(release.image, release.command); err != nil {
			diags.AddAttributeError(path.Root("image"), "The image cannot be deployed", sentence(err))
		}
	}
	if p.stateDir.IsUnknown() {
		return diags
	}
	opened, err := p.open(context.Background(), name, openSettings{})
	if err != nil {
		diags.Append(openError(p, err))
		return diags
	}
	opened.Close()
	former, _ := prior.(localPlatform)
	diags.Append(p.checkAddress(name, "listen", p.Listen, former.Listen, release)...)
	diags.Append(p.checkAddress(name, "preview_listen", p.PreviewListen, former.PreviewListen, release)...)
	if isSet(p.Listen) && p.Listen.Equal(p.PreviewListen) {
		diags.Append(addressError("preview_listen", p.PreviewListen.ValueString(), "listen has the same address"))
	}
	return diags
}

// checkAddress tests whether the deployment can listen on an address that it does
// not listen on yet.
func (p localPlatform) checkAddress(
	name, attribute string, address, former types.String, release plannedRelease,
) diag.Diagnostics {
	if !isSet(address) || address.Equal(former) || release.isFreed(address.ValueString()) {
		return nil
	}
	if err := local.CheckListen(p.stateDir.ValueString(), name, address.ValueString()); err != nil {
		return diag.Diagnostics{addressError(attribute, address.ValueString(), describeAddress(err))}
	}
	return nil
}

// describeAddress says why an address cannot be used, without the address itself.
func describeAddress(err error) string {
	var address *local.AddressError
	var malformed *net.AddrError
	switch {
	case errors.As(err, &address) && address.Deployment != "":
		return fmt.Sprintf("the deployment %q uses this address", address.Deployment)
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

func (m localModel) settings(context.Context) (bluegreen.Settings, diag.Diagnostics) { return nil, nil }

func (m localModel) isKnown(context.Context) bool { return true }

func (m localModel) canAdopt() bool { return false }

func (m localModel) canAutoscale() bool { return false }
