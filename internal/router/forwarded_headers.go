// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"io"
	"log"
	"net"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
)

// client is what the router knows about one client connection. Its header values
// are shared by all requests of the connection and never changed.
type client struct {
	forwardedFor []string
	host         atomic.Pointer[[1]string] // The last host that was asked for.
}

type clientKey struct{}

// withClient is the server's ConnContext.
func withClient(ctx context.Context, conn net.Conn) context.Context {
	c := new(client)
	if ip, _, err := net.SplitHostPort(conn.RemoteAddr().String()); err == nil {
		c.forwardedFor = []string{ip}
	}
	return context.WithValue(ctx, clientKey{}, c)
}

// forwardedHost returns the value of X-Forwarded-Host. It keeps the last one,
// because a client mostly asks for the same host again.
func (c *client) forwardedHost(host string) []string {
	last := c.host.Load()
	if last == nil || last[0] != host {
		last = &[1]string{host}
		c.host.Store(last)
	}
	return last[:]
}

var forwardedProto = []string{"http"}

// untrustedHeaders are headers with which a proxy describes its client. A client
// could forge them, so they are dropped. httputil.ReverseProxy itself drops
// Forwarded and X-Forwarded-For, -Host and -Proto.
var untrustedHeaders = []string{
	"X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Scheme",
	"X-Forwarded-Server", "X-Forwarded-Ssl", "X-Real-Ip",
}

// rewrite turns the client's request into the one that the replica gets.
func (u *upstream) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", u.Addr
	// The query is passed on as it is, valid or not: the router does not read it.
	r.Out.URL.RawQuery = r.In.URL.RawQuery

	header := r.Out.Header
	for _, name := range untrustedHeaders {
		delete(header, name)
	}
	// The replica must not upgrade to HTTP/2: all further requests of this client
	// would then go to this replica.
	if strings.EqualFold(header.Get("Upgrade"), "h2c") {
		delete(header, "Upgrade")
		delete(header, "Connection")
	}
	header["X-Forwarded-Proto"] = forwardedProto
	if c, ok := r.In.Context().Value(clientKey{}).(*client); ok {
		header["X-Forwarded-Host"] = c.forwardedHost(r.In.Host)
		if c.forwardedFor != nil {
			header["X-Forwarded-For"] = c.forwardedFor
		}
	}
}

// bufferSize is the size of the buffer that the proxy would allocate for each answer.
const bufferSize = 32 << 10

// bufferPool lends the buffers that answers are copied through.
type bufferPool struct{ pool sync.Pool }

var _ httputil.BufferPool = (*bufferPool)(nil)

var copyBuffers = &bufferPool{pool: sync.Pool{New: func() any { return new([bufferSize]byte) }}}

func (p *bufferPool) Get() []byte {
	b, _ := p.pool.Get().(*[bufferSize]byte)
	return b[:]
}

func (p *bufferPool) Put(b []byte) { p.pool.Put((*[bufferSize]byte)(b)) }

// discardLog drops the proxy's log: the metrics count what it reports, and a
// client that goes away is nothing to log.
var discardLog = log.New(io.Discard, "", 0)
