// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"cmp"
	"net"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// defaultAddress is a free port on loopback.
const defaultAddress = "127.0.0.1:0"

// resolvePorts returns the addresses to listen on. An address in listen without a port
// gets the one in current, which was chosen before, as long as the same is configured as in
// former or the host is the same. Otherwise who takes "0.0.0.0:8080" out of the
// configuration would stay open to everybody.
func resolvePorts(listen, former, current []string) []string {
	addresses := slices.Clone(listen)
	for i, address := range listen {
		if !store.HasOpenPort(address) {
			continue
		}
		addresses[i] = cmp.Or(address, defaultAddress)
		if i >= len(current) || current[i] == "" {
			continue
		}
		isUnchanged := i < len(former) && former[i] == address
		if isUnchanged || isOnSameHost(addresses[i], current[i]) {
			addresses[i] = current[i]
		}
	}
	return addresses
}

// isOnSameHost reports whether listeners on a and b, whose ports may differ, are reached at
// the same addresses of this machine.
func isOnSameHost(a, b string) bool {
	left, err := net.ResolveTCPAddr("tcp", a)
	if err != nil {
		return false
	}
	right, err := net.ResolveTCPAddr("tcp", b)
	if err != nil {
		return false
	}
	for _, address := range []*net.TCPAddr{left, right} {
		if len(address.IP) == 0 {
			// No host is IPv6 and IPv4, as a listener calls itself.
			address.IP = net.IPv6unspecified
		}
	}
	return left.IP.Equal(right.IP) && left.Zone == right.Zone
}
