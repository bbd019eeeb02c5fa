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

// client is what the router knows of a client's connection. Its header values
// are made once and shared by all requests of the connection; nobody writes to them.
type client struct {
	forwardedFor []string
	host         atomic.Pointer[[1]string] // the last one asked for
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

// forwardedHost returns the value of X-Forwarded-Host. A client mostly asks for
// the same host again.
func (c *client) forwardedHost(host string) []string {
	last := c.host.Load()
	if last == nil || last[0] != host {
		last = &[1]string{host}
		c.host.Store(last)
	}
	return last[:]
}

var forwardedProto = []string{"http"}

// claims are further headers by which proxies tell of the client. No replica
// shall believe them from a client. The proxy drops the usual ones itself.
var claims = []string{
	"X-Forwarded-Port", "X-Forwarded-Prefix", "X-Forwarded-Scheme",
	"X-Forwarded-Server", "X-Forwarded-Ssl", "X-Real-Ip",
}

// rewrite turns the client's request into the one that the replica gets.
func (m *member) rewrite(r *httputil.ProxyRequest) {
	r.Out.URL.Scheme, r.Out.URL.Host = "http", m.Addr
	// What is no valid query is the replica's to judge; the router reads none.
	r.Out.URL.RawQuery = r.In.URL.RawQuery

	header := r.Out.Header
	for _, name := range claims {
		delete(header, name)
	}
	// An upgrade to HTTP/2 concerns one connection only. Passed on, it would tie
	// all further requests of the client to this replica.
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

// bufferSize is what the proxy would otherwise allocate for every answer.
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

// silent drops the proxy's log: what it says is counted in the metrics, and
// clients that go away are no event.
var silent = log.New(io.Discard, "", 0)
