// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/docker/go-units"
	"github.com/hashicorp/terraform-plugin-framework/diag"
	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// defaultResponseTimeout is how long a replica may take until the head of its answer.
const defaultResponseTimeout = time.Minute

// routerModel has the settings of the router, which are the same in every block whose
// platform has one. They are no part of a release. None has a default in the schema, so that
// the state of an earlier version shows no difference.
type routerModel struct {
	ResponseTimeout durationValue `tfsdk:"response_timeout"`
	MaxBody         types.String  `tfsdk:"max_body"`
	TrustedProxies  types.List    `tfsdk:"trusted_proxies"`
	ProxyProtocol   types.Bool    `tfsdk:"proxy_protocol"`
	AccessLog       types.Bool    `tfsdk:"access_log"`
	MaxConnections  types.Int64   `tfsdk:"max_connections"`
}

// configure adds the settings to what the agent is told. log is where the platform's agent
// logs requests. It returns an error for a proxy
// that is not an IP network, which the attribute's validator has refused.
func (m routerModel) configure(front *local.Frontend, log local.AccessLog) error {
	if m.AccessLog.ValueBool() {
		front.AccessLog = log
	}
	front.ResponseTimeout = durationOr(m.ResponseTimeout, defaultResponseTimeout)
	if isSet(m.MaxBody) {
		// The attribute's validator has refused what this could not read.
		front.MaxBody, _ = units.RAMInBytes(m.MaxBody.ValueString())
	}
	front.ProxyProtocol = m.ProxyProtocol.ValueBool()
	front.MaxConnections = intOr(m.MaxConnections, 0)
	for _, element := range m.TrustedProxies.Elements() {
		proxy, ok := element.(types.String)
		if !ok || !isSet(proxy) {
			// A plan opens the platform too, and may not know the value yet.
			continue
		}
		network, err := parseNetwork(proxy.ValueString())
		if err != nil {
			return fmt.Errorf("trusted_proxies: %w", err)
		}
		front.TrustedProxies = append(front.TrustedProxies, network)
	}
	return nil
}

// parseNetwork reads an IP network such as 10.0.0.0/8. The error says how to write it.
func parseNetwork(text string) (netip.Prefix, error) {
	if address, err := netip.ParseAddr(text); err == nil {
		address = address.Unmap().WithZone("")
		return netip.Prefix{}, fmt.Errorf("%q has no prefix length; for this one address, write \"%s/%d\"",
			text, address, address.BitLen())
	}
	network, err := netip.ParsePrefix(text)
	switch {
	case err != nil:
		return netip.Prefix{}, fmt.Errorf(
			"%q is not an IP network; write one such as \"10.0.0.0/8\" or \"fd00::/8\"", text)
	case network.Addr().Is4In6():
		return netip.Prefix{}, fmt.Errorf("%q is an IPv4 network in IPv6 notation; write it as IPv4", text)
	case network != network.Masked():
		return netip.Prefix{}, fmt.Errorf("%q is an address in a network; for the network, write %q, "+
			"and for the address \"%s/%d\"", text, network.Masked(), network.Addr(), network.Addr().BitLen())
	}
	return network, nil
}

// conflicts refuses settings that do not work together.
func (m routerModel) conflicts(block string, speaks types.String, checks health.Config) diag.Diagnostics {
	diags := checkScheme(block, speaks, checks)
	refuse := func(attribute, summary, why string) {
		diags.Append(attributeError(path.Root(block).AtName(attribute), summary, why))
	}
	if checks.Ready != nil {
		diags.Append(attributeError(path.Root("health_check").AtName("ready"), "Setting without effect",
			"must not be set on this platform: only Kubernetes judges by itself whether a replica is ready. "+
				"Use http, tcp, grpc or exec"))
	}
	trustsNobody := !m.TrustedProxies.IsUnknown() && len(m.TrustedProxies.Elements()) == 0
	if m.ProxyProtocol.ValueBool() && trustsNobody {
		refuse("proxy_protocol", "Missing proxies", "is true, so "+block+".trusted_proxies must name the proxies "+
			`that send the header, such as ["127.0.0.1/32"]`)
	}
	if speaks.ValueString() != string(protocol.TCP) {
		return diags
	}
	const summary, rule = "Setting without effect", `must not be set with protocol = "tcp": `
	if !m.ResponseTimeout.IsNull() {
		refuse("response_timeout", summary, rule+"the proxy does not see where an answer begins")
	}
	if !m.MaxBody.IsNull() {
		refuse("max_body", summary, rule+"the proxy does not see requests")
	}
	if m.AccessLog.ValueBool() {
		refuse("access_log", summary, rule+"the proxy does not see requests")
	}
	if len(m.TrustedProxies.Elements()) > 0 && !m.ProxyProtocol.IsUnknown() && !m.ProxyProtocol.ValueBool() {
		refuse("trusted_proxies", summary, rule+"there are no headers in which a proxy could name its client. "+
			"If the proxies speak the PROXY protocol, set proxy_protocol = true")
	}
	return diags
}

// checkScheme refuses a health check over TLS of replicas that clients cannot use: the router
// speaks to them without TLS, and every client would get an error.
func checkScheme(block string, speaks types.String, checks health.Config) diag.Diagnostics {
	if speaks.IsUnknown() || speaks.ValueString() == string(protocol.TCP) {
		return nil
	}
	if checks.HTTP == nil || checks.HTTP.Scheme != "https" {
		return nil
	}
	return diag.Diagnostics{attributeError(path.Root("health_check").AtName("http").AtName("scheme"),
		"Clients could not use what is checked",
		fmt.Sprintf(`is "https", but the proxy speaks to the replicas without TLS, so that every client would get `+
			"an error. If the service serves HTTP without TLS too, check that: leave scheme out. Otherwise set "+
			`%s.protocol = "tcp", so that clients reach the TLS of the service itself`, block))}
}
