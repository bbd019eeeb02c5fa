// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"github.com/hashicorp/terraform-plugin-framework/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// endpoints are where clients find a deployment. They are unknown as far as only an apply decides
// them.
type endpoints struct{ live, preview types.String }

// planEndpoints plans where clients find the deployment.
func (m *deploymentModel) planEndpoints(base planBase, where location, provider providerModel) {
	m.Endpoint, m.PreviewEndpoint = types.StringUnknown(), types.StringUnknown()
	if m.hasUnknownPlatform() || !isSet(m.Name) {
		return
	}
	var prior location
	var before endpoints
	if base.prior != nil && !base.status.Ledger.Destroying {
		prior = base.prior.platform(provider)
		before = endpoints{base.prior.Endpoint, base.prior.PreviewEndpoint}
	}
	planned := where.endpoints(m.Name.ValueString(), prior, before)
	m.Endpoint, m.PreviewEndpoint = planned.live, planned.preview
}

// listener is where an environment is found that an agent listens for.
type listener struct {
	// listen is the configured address, null or without a port for any port.
	listen   types.String
	protocol types.String
}

// endpoint returns the URL of the listener. former is the one that it replaces, whose URL is
// before. before is null if there is none.
func (l listener) endpoint(former listener, before types.String) types.String {
	if l.listen.IsUnknown() || l.protocol.IsUnknown() {
		return types.StringUnknown()
	}
	spoken := stringOr(l.protocol, string(protocol.HTTP))
	if url := local.Endpoint(l.listen.ValueString(), protocol.Protocol(spoken)); url != "" {
		return types.StringValue(url)
	}
	// The agent keeps the port that it chose.
	if isSet(before) && l.listen.ValueString() == former.listen.ValueString() &&
		spoken == stringOr(former.protocol, string(protocol.HTTP)) {
		return before
	}
	return types.StringUnknown()
}
