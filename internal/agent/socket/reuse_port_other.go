// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package socket

import "net"

// ListenReusingPort binds address. The others listen on the same port at other
// addresses. BSD and macOS accept 127.0.0.1 while another socket has 0.0.0.0, so nothing
// more is needed here.
func ListenReusingPort(_ []*net.TCPListener, address string) (*net.TCPListener, error) {
	return Listen(address)
}
