// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// tcpFrontend proxies raw connections.
type tcpFrontend struct {
	router    *Router
	logger    *slog.Logger
	listeners closerSet
	clients   closerSet
	inFlight  inFlight
}

var _ frontend = (*tcpFrontend)(nil)

func newTCPFrontend(r *Router, logger *slog.Logger) *tcpFrontend {
	return &tcpFrontend{router: r, logger: logger}
}

func (f *tcpFrontend) serve(l net.Listener) error {
	defer l.Close()
	if !f.listeners.add(l) {
		return nil
	}
	defer f.listeners.remove(l)
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 5*time.Millisecond, time.Second
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			wait.Reset()
			f.handle(conn)
		case f.listeners.isClosed():
			return nil
		case !isTemporary(err):
			return err
		default:
			f.logger.Warn("cannot accept a connection", "error", err)
			<-time.After(wait.NextBackOff())
		}
	}
}

// isTemporary reports whether accepting can work again later, as after a lack of
// file descriptors. net/http uses the same criterion.
func isTemporary(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Temporary() //nolint:staticcheck // nothing replaces it here
}

func (f *tcpFrontend) connections() int64 { return f.inFlight.count() }

func (f *tcpFrontend) retire(ctx context.Context) error {
	f.listeners.closeAll()
	return f.inFlight.waitIdle(ctx)
}

// closeSilent does nothing: a silent connection may wait for its other side.
func (f *tcpFrontend) closeSilent() {}

func (f *tcpFrontend) shutdown(ctx context.Context) error {
	f.listeners.closeAll()
	err := f.inFlight.waitIdle(ctx)
	f.clients.closeAll()
	return err
}

// handle proxies the client in the background.
func (f *tcpFrontend) handle(client net.Conn) {
	f.inFlight.enter()
	if !f.clients.add(client) {
		f.inFlight.leave()
		_ = client.Close()
		return
	}
	go func() {
		defer f.inFlight.leave()
		defer f.clients.remove(client)
		f.proxy(client)
	}()
}

// proxy connects the client with a replica until both sides are done.
func (f *tcpFrontend) proxy(client net.Conn) {
	defer client.Close()
	a, replica, err := f.dialReplica()
	if err != nil {
		return
	}
	defer a.release()
	defer func() { _ = replica.Close() }() // The error has no use.
	conns := &a.upstream.conns
	defer conns.remove(client)
	defer conns.remove(replica)
	if conns.add(client) && conns.add(replica) {
		copyBothWays(client, replica)
	}
	if conns.isClosed() {
		a.pool.counters.countFailure(failCut)
	}
}

// dialReplica connects to one upstream after the other until one accepts.
func (f *tcpFrontend) dialReplica() (assignment, *net.TCPConn, error) {
	var c choice
	for {
		a, err := f.router.acquire(&c)
		if err != nil {
			counters, kind := f.router.withoutPool, failNoPool
			if a.pool != nil {
				counters, kind = a.pool.counters, failRefused
			}
			counters.requests.Inc()
			counters.countFailure(kind)
			return assignment{}, nil, err
		}
		replica, err := a.upstream.dial(context.Background())
		if err == nil {
			a.pool.counters.requests.Inc()
			a.upstream.noteAnswer()
			return a, replica, nil
		}
		a.release()
		if errors.Is(err, errCut) {
			return assignment{}, nil, err
		}
		a.upstream.noteFailure(errRefusedConnection)
		c.refused = append(c.refused, a.upstream)
	}
}

// copyBothWays copies in both directions until both have ended.
func copyBothWays(a, b net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		copyOneWay(a, b)
	}()
	copyOneWay(b, a)
	<-done
}

// copyOneWay copies until src ends, and then closes dst for writing; the other
// direction stays open. An error ends both directions. With *net.TCPConn on both
// sides the kernel does the copying.
func copyOneWay(dst, src net.Conn) {
	_, err := io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	}
	if err != nil {
		_ = dst.Close()
		_ = src.Close()
	}
}
