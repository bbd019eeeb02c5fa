// SPDX-License-Identifier: MPL-2.0

package socket

import (
	"fmt"
	"net"
	"sync"
)

// Listen binds address. Without a host it is for IPv4 and IPv6; 0.0.0.0 is for
// IPv4 alone, where [net.Listen] would accept IPv6 as well.
func Listen(address string) (*net.TCPListener, error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	return net.ListenTCP(networkOf(resolved), resolved)
}

func networkOf(address *net.TCPAddr) string {
	if address.IP.To4() != nil {
		return "tcp4"
	}
	return "tcp"
}

// IsListeningOn reports whether listener is what Listen would return for address.
func IsListeningOn(listener *net.TCPListener, address string) bool {
	wanted, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return false
	}
	have, ok := listener.Addr().(*net.TCPAddr)
	if !ok || have.Port != wanted.Port {
		return false
	}
	if len(wanted.IP) == 0 {
		return have.IP.IsUnspecified() && (have.IP.To4() == nil || !hasIPv6())
	}
	return have.IP.Equal(wanted.IP)
}

// hasIPv6 reports whether a socket for all addresses is one for IPv6 as well.
var hasIPv6 = sync.OnceValue(func() bool {
	listener, err := net.Listen("tcp6", "[::1]:0")
	return err == nil && listener.Close() == nil
})

// Duplicate returns another listener on the same socket.
//
// It does not use File: the library makes such a descriptor blocking for a moment, and the
// socket with it, so that an Accept that begins just then would block a Close as well.
func Duplicate(original *net.TCPListener) (*net.TCPListener, error) {
	file, err := duplicateFile(original)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	copied, err := net.FileListener(file)
	if err != nil {
		return nil, err
	}
	listener, ok := copied.(*net.TCPListener)
	if !ok {
		return nil, fmt.Errorf("unexpected listener type %T", copied)
	}
	return listener, nil
}
