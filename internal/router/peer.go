// SPDX-License-Identifier: MPL-2.0

package router

import "net"

// ProxiedConn is a client's connection through a proxy that has told the client's address.
// RemoteAddr is the client's.
type ProxiedConn interface {
	net.Conn
	// ProxyAddr is the address of the proxy, which is the other end of the connection.
	ProxyAddr() net.Addr
}

// PeerAddr returns the address of the other end of conn: of the proxy if there is one, or
// else of the client. It decides whether what a request says about its client is believed.
func PeerAddr(conn net.Conn) net.Addr {
	if proxied, ok := conn.(ProxiedConn); ok {
		return proxied.ProxyAddr()
	}
	return conn.RemoteAddr()
}
