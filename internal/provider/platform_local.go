// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/terraform-plugin-framework-validators/stringvalidator"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	provider "github.com/hashicorp/terraform-plugin-framework/provider/schema"
	resource "github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/schema/validator"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// kindLocal runs processes on this machine.
const kindLocal = "local"

// agentIdleVariable says how long an agent that this provider starts stays once
// it has no deployment, a duration. Tests and demos leave nothing behind with it.
const agentIdleVariable = "BLUEGREEN_AGENT_IDLE"

// localModel is the local block of a resource.
type localModel struct {
	Listen        types.String `tfsdk:"listen"`
	PreviewListen types.String `tfsdk:"preview_listen"`
	Protocol      types.String `tfsdk:"protocol"`
}

// localProviderModel is the local block of the provider.
type localProviderModel struct {
	StateDir types.String `tfsdk:"state_dir"`
}

func localAttribute() resource.SingleNestedAttribute {
	return resource.SingleNestedAttribute{
		Optional:   true,
		Validators: []validator.Object{onlyPlatform(kindLocal)},
		MarkdownDescription: "Runs the deployment as processes on this machine, behind a proxy of its own. It is what a deployment without a platform does, on a free " +
			"port. Changing it moves the proxy in place and restarts nothing.",
		Attributes: map[string]resource.Attribute{
			"listen": resource.StringAttribute{
				Optional: true,
				MarkdownDescription: "The address, `host:port`, where clients reach the live environment. Default: a free port on 127.0.0.1, chosen at the first apply and kept. " +
					"`0.0.0.0:8080` is every IPv4 address of the machine, `:8080` every IPv6 address as well. Changing it opens the new address before the old one " +
					"closes, and asks clients that keep their connection to open another one.",
			},
			"preview_listen": resource.StringAttribute{
				Optional:            true,
				MarkdownDescription: "The same for the staging environment. Default: a free port on 127.0.0.1, chosen at the first apply and kept.",
			},
			"protocol": resource.StringAttribute{
				Optional: true, Computed: true,
				Default: stringdefault.StaticString(string(router.HTTP)),
				MarkdownDescription: "`\"http\"` switches request by request, WebSocket and HTTP/2 without TLS included. `\"tcp\"` passes connections through, whatever they speak, " +
					"and switches with the next one. Default `\"http\"`.",
				Validators: []validator.String{stringvalidator.OneOf(string(router.HTTP), string(router.TCP))},
			},
		},
	}
}

func localProviderAttribute() provider.SingleNestedAttribute {
	return provider.SingleNestedAttribute{
		Optional:            true,
		MarkdownDescription: "Settings of the `local` platform.",
		Attributes: map[string]provider.Attribute{
			"state_dir": provider.StringAttribute{
				Optional: true,
				MarkdownDescription: "The directory in which the agent keeps ledgers, images and logs, made when needed. Default: `$XDG_STATE_HOME/bluegreen`, else " +
					"`~/.local/state/bluegreen`. One agent serves one directory. Its path can have at most 92 bytes, because a Unix socket lies in it. " +
					"Changing it does not move what is deployed.",
				Validators: []validator.String{stringvalidator.LengthAtLeast(1), withoutNUL(), stateDirectory{}},
			},
		},
	}
}

var _ validator.String = stateDirectory{}

// stateDirectory refuses a directory in which no agent can work.
type stateDirectory struct{}

func (stateDirectory) Description(context.Context) string {
	return "must be a directory in which a Unix socket can be made"
}

func (v stateDirectory) MarkdownDescription(ctx context.Context) string { return v.Description(ctx) }

func (stateDirectory) ValidateString(_ context.Context, req validator.StringRequest, resp *validator.StringResponse) {
	if !given(req.ConfigValue) {
		return
	}
	if _, err := local.New(local.Options{StateDir: req.ConfigValue.ValueString(), Name: "any"}); err != nil {
		resp.Diagnostics.AddAttributeError(req.Path, "Invalid state directory", err.Error())
	}
}

var _ platformConfig = localPlatform{}

// localPlatform is the local platform as a deployment configures it.
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

func (p localPlatform) id(name string) types.String { return types.StringValue(name) }

func (p localPlatform) reachesPorts() bool { return false }

func (p localPlatform) check(name string, release plannedRelease, prior platformConfig) diag.Diagnostics {
	var diags diag.Diagnostics
	if release.deploys {
		if err := local.CheckImage(release.image, release.command); err != nil {
			diags.AddAttributeError(path.Root("image"), "The image cannot be deployed", sentence(err))
		}
	}
	if p.stateDir.IsUnknown() {
		return diags
	}
	opened, err := p.open(context.Background(), name, 0)
	if err != nil {
		diags.Append(openError(p, err))
		return diags
	}
	opened.Close()
	former, _ := prior.(localPlatform)
	for attribute, address := range map[string][2]types.String{
		"listen":         {p.Listen, former.Listen},
		"preview_listen": {p.PreviewListen, former.PreviewListen},
	} {
		if !given(address[0]) || address[0].Equal(address[1]) || release.vacated(address[0].ValueString()) {
			continue
		}
		if err := local.CheckListen(p.stateDir.ValueString(), name, address[0].ValueString()); err != nil {
			diags.Append(attributeError(path.Root(kindLocal).AtName(attribute), "The address cannot be listened on", "is refused: "+err.Error()))
		}
	}
	if given(p.Listen) && p.Listen.Equal(p.PreviewListen) {
		diags.Append(attributeError(path.Root(kindLocal).AtName("preview_listen"), "The address cannot be listened on",
			fmt.Sprintf("is refused: listen has %s already", p.Listen.ValueString())))
	}
	return diags
}

func (p localPlatform) sameEndpoints(prior platformConfig) bool {
	former, ok := prior.(localPlatform)
	return ok && p.Listen.Equal(former.Listen) && p.PreviewListen.Equal(former.PreviewListen) && !p.Protocol.IsUnknown() && p.protocol() == former.protocol()
}

func (p localPlatform) protocol() router.Protocol {
	if p.Protocol.ValueString() == string(router.TCP) {
		return router.TCP
	}
	return router.HTTP
}

func (p localPlatform) settings(context.Context) (bluegreen.Settings, diag.Diagnostics) {
	return nil, nil
}

func (p localPlatform) settingsKnown(context.Context) bool { return true }

func (p localPlatform) adopts() bool { return false }

func (p localPlatform) open(_ context.Context, name string, drainTimeout time.Duration) (openPlatform, error) {
	if p.stateDir.IsUnknown() {
		return nil, errors.New("the provider's local.state_dir is not known yet: it depends on something that has not been applied")
	}
	command, err := agentCommand()
	if err != nil {
		return nil, err
	}
	platform, err := local.New(local.Options{
		StateDir: p.stateDir.ValueString(),
		Name:     name,
		Frontend: local.Frontend{
			Listen:        []string{p.Listen.ValueString()},
			PreviewListen: p.PreviewListen.ValueString(),
			Protocol:      p.protocol(),
			DrainTimeout:  drainTimeout,
		},
		AgentCommand: command,
	})
	if err != nil {
		return nil, err
	}
	return platform, nil
}

// agentCommand is the default of the platform, nil, unless the agent is told how
// long to stay.
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

func (p localPlatform) explain(err error) (path.Path, bool) {
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
