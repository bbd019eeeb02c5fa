// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync/atomic"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	// Node and others close a connection that was idle for 5 s. A request that
	// is just then on its way would be lost, so the router closes first.
	idleTimeout = 4 * time.Second
	// restTime is how long a replica that could not be connected to is left alone
	// before it is tried again.
	restTime = time.Second
	// maxIdle is how many idle connections to one replica are kept. A smaller
	// number makes a busy router dial for every other request.
	maxIdle = 1024
)

// errCut is what a request gets whose connections were closed by CloseConnections.
var errCut = errors.New("the connection to the replica was closed by the router")

// dialError says that a replica could not be connected to, hence that nothing
// has been sent and the request may go to another.
type dialError struct {
	id  string
	err error
}

func (e *dialError) Error() string { return fmt.Sprintf("replica %s: %v", e.id, e.err) }
func (e *dialError) Unwrap() error { return e.err }

// member is one replica in a pool, with its connections.
type member struct {
	Backend

	load  tally
	conns closers
	// restsUntil is when to try it again, in nanoseconds since epoch; 0 for a
	// replica that can be connected to as far as is known.
	restsUntil atomic.Int64
	// Each member has its own transports, so that cutting one leaves it no
	// other connection, pooled or dialed, to send a request on again.
	http1   *http.Transport
	http2   *http.Transport
	proxy   *httputil.ReverseProxy
	counted *counters
}

func newMember(b Backend, c *counters) *member {
	m := &member{Backend: b, counted: c}
	m.http1 = m.transport(false)
	m.http2 = m.transport(true)
	m.proxy = &httputil.ReverseProxy{
		Transport:    m,
		Rewrite:      m.rewrite,
		ErrorHandler: m.fail,
		BufferPool:   copyBuffers,
		ErrorLog:     silent,
	}
	return m
}

func (m *member) transport(h2c bool) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!h2c)
	protocols.SetUnencryptedHTTP2(h2c)
	return &http.Transport{
		Protocols:             protocols,
		DialContext:           m.dialHTTP,
		MaxIdleConnsPerHost:   maxIdle,
		IdleConnTimeout:       idleTimeout,
		ExpectContinueTimeout: time.Second,
		// The client negotiates its encoding with the replica.
		DisableCompression: true,
	}
}

// RoundTrip sends gRPC over HTTP/2, which it needs, and everything else over
// HTTP/1.1, which every server speaks.
func (m *member) RoundTrip(r *http.Request) (*http.Response, error) {
	if isGRPC(r) {
		return m.http2.RoundTrip(r)
	}
	return m.http1.RoundTrip(r)
}

func isGRPC(r *http.Request) bool {
	if r.ProtoMajor < 2 {
		return false
	}
	// "application/grpc+proto" is gRPC, "application/grpc-web" is not.
	rest, ok := strings.CutPrefix(r.Header.Get("Content-Type"), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

func (m *member) dialHTTP(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := m.dial(ctx)
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{TCPConn: conn, set: &m.conns}
	if !m.conns.add(tracked) {
		return nil, errors.Join(errCut, conn.Close())
	}
	return tracked, nil
}

// dial connects to the replica. Its error is a *dialError, or errCut.
func (m *member) dial(ctx context.Context) (*net.TCPConn, error) {
	if m.conns.closed() {
		return nil, errCut
	}
	dialer := net.Dialer{Timeout: dialTimeout}
	conn, err := dialer.DialContext(ctx, "tcp", m.Addr)
	if err != nil {
		if ctx.Err() == nil {
			m.restFor(restTime)
		}
		return nil, &dialError{id: m.ID, err: err}
	}
	m.restsUntil.Store(0)
	return conn.(*net.TCPConn), nil //nolint:forcetypeassert // what "tcp" is documented to return
}

// epoch is what times are counted from: a clock that is set does not matter then.
var epoch = time.Now()

func (m *member) restFor(d time.Duration) { m.restsUntil.Store(int64(time.Since(epoch) + d)) }

// rests reports whether the replica could not be connected to lately. A machine that
// is gone may take seconds to refuse, which no client should wait for: once the
// rest is over it is tried without a request.
func (m *member) rests() bool {
	until := m.restsUntil.Load()
	if until == 0 {
		return false
	}
	if now := time.Since(epoch); int64(now) >= until && m.restsUntil.CompareAndSwap(until, int64(now+dialTimeout)) {
		go func() {
			if conn, err := m.dial(context.Background()); err == nil {
				_ = conn.Close() // nothing was sent
			}
		}()
	}
	return true
}

// closeIdle closes the idle connections now, and the busy ones as they fall idle.
func (m *member) closeIdle() {
	m.http1.CloseIdleConnections()
	m.http2.CloseIdleConnections()
}

// cut closes every connection and dials no more.
func (m *member) cut() {
	m.conns.closeAll()
	m.load.cancel()
	m.closeIdle()
}
