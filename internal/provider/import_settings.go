// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"cmp"
	"context"
	"strconv"

	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// settingsKeeper is a platform that keeps settings which are in no ledger.
type settingsKeeper interface {
	KeptSettings(ctx context.Context) (local.KeptSettings, error)
}

// fillKeptSettings fills in the settings of an imported deployment that its platform keeps: where
// and how clients reach it, and its health check. What has its default in a block that can be left
// out is left out.
func (o openDeployment) fillKeptSettings(ctx context.Context, state *tfsdk.State) diag.Diagnostics {
	platform, keeps := o.Platform.(settingsKeeper)
	if !keeps {
		return nil
	}
	kept, err := platform.KeptSettings(ctx)
	if err != nil {
		return diag.Diagnostics{o.unreadableDiagnostic(err)}
	}
	filled := frontendAttributes(o.location.kind(), kept.Frontend)
	if kept.Frontend.DrainTimeout > 0 {
		filled.set(path.Root("drain_timeout"), duration(kept.Frontend.DrainTimeout))
	}
	if kept.Upkeep != nil {
		filled = append(filled, healthAttributes(*kept.Upkeep)...)
	}
	var diags diag.Diagnostics
	for _, attribute := range filled {
		diags.Append(state.SetAttribute(ctx, attribute.path, attribute.value)...)
	}
	return diags
}

// filledAttributes are the values that an import fills in.
type filledAttributes []filledAttribute

type filledAttribute struct {
	path  path.Path
	value any
}

func (a *filledAttributes) set(at path.Path, value any) { *a = append(*a, filledAttribute{at, value}) }

// frontendAttributes are the attributes of the platform's block that the agent knows. There are
// none if all have their defaults.
func frontendAttributes(kind string, front local.Frontend) (filled filledAttributes) {
	block, speaks := path.Root(kind), cmp.Or(front.Protocol, protocol.HTTP)
	set := func(isSet bool, name string, value any) {
		if isSet {
			filled.set(block.AtName(name), value)
		}
	}
	if kind == kindDocker {
		set(len(front.Listen) > 0, "publish", front.Listen)
	} else {
		listen := ""
		if len(front.Listen) > 0 {
			listen = front.Listen[0]
		}
		set(listen != "", "listen", listen)
		set(front.PreviewListen != "", "preview_listen", front.PreviewListen)
	}
	// An earlier version has stored 0 with "tcp" too, which must not be configured there.
	hasTimeout := speaks != protocol.TCP && front.ResponseTimeout != defaultResponseTimeout
	set(hasTimeout, "response_timeout", duration(front.ResponseTimeout))
	set(front.MaxBody > 0, "max_body", strconv.FormatInt(front.MaxBody, 10))
	var proxies []string
	for _, network := range front.TrustedProxies {
		proxies = append(proxies, network.String())
	}
	set(len(proxies) > 0, "trusted_proxies", proxies)
	set(front.ProxyProtocol, "proxy_protocol", true)
	set(front.AccessLog != "", "access_log", true)
	set(front.MaxConnections > 0, "max_connections", int64(front.MaxConnections))
	set(len(filled) > 0 || speaks != protocol.HTTP, "protocol", string(speaks))
	return filled
}

// healthAttributes are those of health_check that the agent knows. It does not tell headers, which
// may be secrets, and does not know how long a deploy waits. There are none if all that it knows
// have their defaults.
func healthAttributes(upkeep local.KeptUpkeep) filledAttributes {
	checks, otherwise := upkeep.Health, bluegreen.DefaultConfig()
	var filled filledAttributes
	block := path.Root("health_check")
	if checks.HTTP != nil {
		http := block.AtName("http")
		filled.set(http.AtName("path"), cmp.Or(checks.HTTP.Path, health.DefaultHTTPPath))
		filled.set(http.AtName("scheme"), cmp.Or(checks.HTTP.Scheme, health.DefaultHTTPScheme))
		filled.set(http.AtName("host"), cmp.Or(checks.HTTP.Host, health.DefaultHTTPHost))
		filled.set(http.AtName("status_codes"), cmp.Or(checks.HTTP.StatusCodes, health.DefaultHTTPStatusCodes))
		filled.setPort(http, checks.HTTP.Port)
	}
	if checks.GRPC != nil {
		filled.set(block.AtName("grpc").AtName("service"), checks.GRPC.Service)
		filled.setPort(block.AtName("grpc"), checks.GRPC.Port)
	}
	if checks.TCP != nil {
		filled.setPort(block.AtName("tcp"), checks.TCP.Port)
	}
	interval := cmp.Or(checks.Interval, health.DefaultInterval)
	probeTimeout := cmp.Or(checks.ProbeTimeout, health.DefaultProbeTimeout)
	healthyThreshold := cmp.Or(checks.HealthyThreshold, health.DefaultHealthyThreshold)
	hasDefaults := interval == health.DefaultInterval && probeTimeout == health.DefaultProbeTimeout &&
		healthyThreshold == health.DefaultHealthyThreshold && upkeep.RestartAfter == 0 &&
		upkeep.UnhealthyThreshold == otherwise.UnhealthyThreshold
	if len(filled) == 0 && hasDefaults {
		return nil
	}
	for name, value := range map[string]any{
		"interval": duration(interval), "probe_timeout": duration(probeTimeout),
		"healthy_threshold": int64(healthyThreshold),
		// What nobody keeps has its default.
		"timeout": duration(otherwise.HealthCheckTimeout), "retries": int64(otherwise.HealthCheckRetries),
		"min_healthy_percent": int64(otherwise.MinHealthyPercent),
	} {
		filled.set(block.AtName(name), value)
	}
	// These have no default in the schema.
	if upkeep.UnhealthyThreshold != otherwise.UnhealthyThreshold {
		filled.set(block.AtName("unhealthy_threshold"), int64(upkeep.UnhealthyThreshold))
	}
	if upkeep.RestartAfter != 0 {
		filled.set(block.AtName("restart_after"), duration(upkeep.RestartAfter))
	}
	return filled
}

// setPort sets the port of a check, null if it is that of the replica.
func (a *filledAttributes) setPort(check path.Path, port int) {
	value := types.Int64Null()
	if port > 0 {
		value = types.Int64Value(int64(port))
	}
	a.set(check.AtName("port"), value)
}
