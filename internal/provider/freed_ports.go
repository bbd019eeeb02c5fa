// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"net"
	"net/url"
	"sync"

	"github.com/hashicorp/terraform-plugin-framework/types"
)

// freedPorts are the ports of deployments that a plan destroys so that others can
// replace them. Terraform plans the replacement later in the same process, as a
// create, without telling that it replaces anything. Its address is in use while it
// is planned, and free when it is created.
type freedPorts struct {
	mu    sync.Mutex
	ports map[string]bool
}

func newFreedPorts() *freedPorts { return &freedPorts{ports: map[string]bool{}} }

// add adds the ports of endpoints.
func (f *freedPorts) add(endpoints ...types.String) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, endpoint := range endpoints {
		if parsed, err := url.Parse(endpoint.ValueString()); err == nil && parsed.Port() != "" {
			f.ports[parsed.Port()] = true
		}
	}
}

// hasFreed reports whether the port of an address, host:port, is going to be free.
func (f *freedPorts) hasFreed(address string) bool {
	_, port, err := net.SplitHostPort(address)
	if f == nil || err != nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ports[port]
}
