// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package agent

import "net"

// listenBeside binds address, whose port the neighbours have at other addresses.
// The systems that descend from BSD let one that is specific be beside one that
// is not.
func listenBeside(_ []*net.TCPListener, address string) (*net.TCPListener, error) {
	return listen(address)
}
