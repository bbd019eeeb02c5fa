// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"net"
	"net/url"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

// vacated are the ports of deployments that are going to be destroyed so that
// others can take their place. Terraform plans such another one afterwards, in the
// same process, and does not say that it replaces anything: its address is taken
// while it is planned and free when it is made.
type vacated struct {
	mu    sync.Mutex
	ports map[string]bool
}

// note takes down the ports of endpoints.
func (v *vacated) note(endpoints ...types.String) {
	if v == nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, endpoint := range endpoints {
		if parsed, err := url.Parse(endpoint.ValueString()); err == nil && parsed.Port() != "" {
			v.ports[parsed.Port()] = true
		}
	}
}

// has reports whether the port of address, host:port, is going to be free.
func (v *vacated) has(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if v == nil || err != nil {
		return false
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.ports[port]
}
