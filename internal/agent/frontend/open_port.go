// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"cmp"
	"net"
	"slices"
)

// defaultAddress is a free port on loopback.
const defaultAddress = "127.0.0.1:0"

// resolvePorts returns the addresses to listen on. An address in listen without a port
// gets the one in current, which was chosen before.
func resolvePorts(listen, current []string) []string {
	addresses := slices.Clone(listen)
	for i, address := range listen {
		if !hasOpenPort(address) {
			continue
		}
		addresses[i] = cmp.Or(address, defaultAddress)
		if i < len(current) {
			addresses[i] = cmp.Or(current[i], addresses[i])
		}
	}
	return addresses
}

// hasOpenPort reports whether any port will do.
func hasOpenPort(listen string) bool {
	_, port, err := net.SplitHostPort(listen)
	return listen == "" || (err == nil && port == "0")
}
