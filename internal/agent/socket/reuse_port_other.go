// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package socket

import "net"

// ListenReusingPort binds address, whose port the others have at other addresses.
// Systems that descend from BSD accept one that is specific beside one that is not.
func ListenReusingPort(_ []*net.TCPListener, address string) (*net.TCPListener, error) {
	return Listen(address)
}
