// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
)

// client is what the router knows about one client connection.
type client struct {
	// ip is the client's address as text, "" if it has none.
	ip      string
	address netip.Addr
	// conn is nil for a connection that is not watched.
	conn *clientConn
	// hasAsked is set by the first request.
	hasAsked atomic.Bool
	// room holds the request over HTTP/2 that uses the room which the client itself has.
	room chan struct{}
}

type clientKey struct{}

// withClient is the server's ConnContext.
func withClient(ctx context.Context, conn net.Conn) context.Context {
	c := &client{room: make(chan struct{}, 1)}
	c.conn, _ = conn.(*clientConn)
	if at, err := netip.ParseAddrPort(conn.RemoteAddr().String()); err == nil {
		c.address = at.Addr().Unmap().WithZone("")
		c.ip = c.address.String()
	}
	return context.WithValue(ctx, clientKey{}, c)
}

// clientOf returns the client of a request.
func clientOf(r *http.Request) *client {
	if c, ok := r.Context().Value(clientKey{}).(*client); ok {
		return c
	}
	return new(client)
}

// mayContradict reports whether a request in chunks may have had a Content-Length too. Its
// client has sent a line that looks like one, with this request or with another.
func (c *client) mayContradict(r *http.Request) bool {
	return len(r.TransferEncoding) > 0 && r.ProtoMajor == 1 && c.conn != nil && c.conn.hasLength.Load()
}

// mayHaveLostBody reports whether net/http may have dropped the body of a request, because
// HTTP/1.0 has no chunks. Of the first request on a connection it is known.
func (c *client) mayHaveLostBody(r *http.Request, isFirst bool) bool {
	switch {
	case r.ProtoAtLeast(1, 1) || c.conn == nil:
		return false
	case isFirst:
		return c.conn.hasEncodingAtFirst.Load()
	default:
		return c.conn.hasEncoding.Load()
	}
}

// isTrusted reports whether the client is one of the proxies.
func (c *client) isTrusted(proxies []netip.Prefix) bool {
	for _, proxy := range proxies {
		if proxy.Contains(c.address) {
			return true
		}
	}
	return false
}

// forwardedHeaders calls add for the headers that tell a service who the client is. What a
// trusted proxy says about its own client is kept; the proxy is added to the list.
func (c *client) forwardedHeaders(r *http.Request, isTrusted bool, add func(name, value string)) {
	list, host, proto := c.ip, r.Host, "http"
	if isTrusted {
		if former := strings.Join(r.Header["X-Forwarded-For"], ", "); former != "" {
			list = former + ", " + c.ip
		}
		if said := r.Header.Get("X-Forwarded-Host"); said != "" {
			host = said
		}
		if said := r.Header.Get("X-Forwarded-Proto"); said != "" {
			proto = said
		}
		if former := strings.Join(r.Header["Forwarded"], ", "); former != "" {
			add("Forwarded", former+", for="+c.node())
		}
	}
	if list != "" {
		add("X-Forwarded-For", list)
	}
	if host != "" {
		add("X-Forwarded-Host", host)
	}
	add("X-Forwarded-Proto", proto)
}

// origin returns the address of whom the request comes from: the last one in X-Forwarded-For
// that is no trusted proxy, or the client itself if that is none.
func (c *client) origin(r *http.Request, proxies []netip.Prefix) string {
	origin := &client{ip: c.ip, address: c.address}
	list := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for _, item := range slices.Backward(list) {
		address, err := parseNode(strings.TrimSpace(item))
		if err != nil || !origin.isTrusted(proxies) {
			break
		}
		origin = &client{ip: address.String(), address: address.Unmap()}
	}
	return origin.ip
}

// parseNode reads an address in X-Forwarded-For. Some proxies add the port.
func parseNode(text string) (netip.Addr, error) {
	if at, err := netip.ParseAddrPort(text); err == nil {
		return at.Addr(), nil
	}
	return netip.ParseAddr(text)
}

// node returns the client's address as the header Forwarded has it (RFC 7239 6).
func (c *client) node() string {
	if c.address.Is6() {
		return `"[` + c.ip + `]"`
	}
	return c.ip
}
