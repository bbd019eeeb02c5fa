// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// proxyHeaderTimeout is how long a proxy may take for the header of the PROXY protocol. A
// proxy sends it first of all. The specification asks for at least 3 seconds, so that a lost
// packet can be sent again.
const proxyHeaderTimeout = 5 * time.Second

// headerPolicy says from whom a header of the PROXY protocol is read.
type headerPolicy struct {
	// proxies is empty while the protocol is not spoken.
	proxies []netip.Prefix
	// isOptional accepts a connection without a header from a proxy.
	isOptional bool
	// warn logs the first connection that is refused. A proxy whose health check only connects
	// would fill the log.
	warn sync.Once
}

// newHeaderPolicy returns the policy of a listener group. A proxy must send the header to live:
// without it, a proxy that was set up wrongly would pass for the client. The preview is for
// trying out, often from the machine that the proxy is on too.
func newHeaderPolicy(f store.Frontend, group string) *headerPolicy {
	if !f.ProxyProtocol {
		return &headerPolicy{}
	}
	return &headerPolicy{proxies: f.TrustedProxies, isOptional: group == previewName}
}

// isProxy reports whether the header is read from this address.
func (p *headerPolicy) isProxy(address net.Addr) bool {
	tcp, ok := address.(*net.TCPAddr)
	if !ok {
		return false
	}
	// A socket for IPv6 and IPv4 has the addresses of IPv4 in the notation of IPv6.
	peer := tcp.AddrPort().Addr().Unmap().WithZone("")
	return slices.ContainsFunc(p.proxies, func(network netip.Prefix) bool { return network.Contains(peer) })
}

// introduce reads the header from conn. It returns the connection of the client that the
// header names, or of the proxy itself if the header names none.
func (p *headerPolicy) introduce(ctx context.Context, conn *admittedConn) (net.Conn, error) {
	policy := proxyproto.REQUIRE
	if p.isOptional {
		policy = proxyproto.USE
	}
	header := proxyproto.NewConn(conn,
		proxyproto.WithPolicy(policy), proxyproto.SetReadHeaderTimeout(proxyHeaderTimeout))
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	// A read of nothing reads the header.
	if _, err := header.Read(nil); err != nil {
		return nil, fmt.Errorf("%s sent no valid header of the PROXY protocol: %w", conn.RemoteAddr(), err)
	}
	client, ok := header.RemoteAddr().(*net.TCPAddr)
	if !ok {
		// Version 2 can name a Unix socket as well.
		return &introducedConn{header, conn, conn.RemoteAddr()}, nil
	}
	return &introducedConn{header, conn, client}, nil
}

// introducedConn is a connection whose proxy has named the client. The client is who a request
// comes from, and not the proxy: a proxy that passes connections through also passes on the
// headers that a client has made up.
type introducedConn struct {
	*proxyproto.Conn

	tcp    *admittedConn
	client net.Addr
}

func (c *introducedConn) RemoteAddr() net.Addr { return c.client }

// CloseWrite ends what the client receives. It can go on sending.
func (c *introducedConn) CloseWrite() error { return c.tcp.CloseWrite() }
