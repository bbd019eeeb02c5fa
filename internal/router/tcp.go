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

// tcpFront proxies raw connections.
type tcpFront struct {
	router    *Router
	logger    *slog.Logger
	listeners closers
	clients   closers
	load      tally
}

var _ front = (*tcpFront)(nil)

func newTCPFront(r *Router, logger *slog.Logger) *tcpFront {
	return &tcpFront{router: r, logger: logger}
}

func (f *tcpFront) serve(l net.Listener) error {
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
			f.admit(conn)
		case f.listeners.closed():
			return nil
		case !temporary(err):
			return err
		default:
			f.logger.Warn("cannot accept a connection", "error", err)
			<-time.After(wait.NextBackOff())
		}
	}
}

// temporary reports whether accepting can work again, as after a lack of file
// descriptors. It is the judgment that net/http makes.
func temporary(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Temporary() //nolint:staticcheck // nothing replaces it here
}

func (f *tcpFront) retire(ctx context.Context) error {
	f.listeners.closeAll()
	return f.load.wait(ctx)
}

func (f *tcpFront) shutdown(ctx context.Context) error {
	f.listeners.closeAll()
	err := f.load.wait(ctx)
	f.clients.closeAll()
	return err
}

func (f *tcpFront) admit(client net.Conn) {
	f.load.enter()
	if !f.clients.add(client) {
		f.load.leave()
		_ = client.Close()
		return
	}
	go func() {
		defer f.load.leave()
		defer f.clients.remove(client)
		f.proxy(client)
	}()
}

// proxy connects the client with a replica until both sides are done.
func (f *tcpFront) proxy(client net.Conn) {
	defer client.Close()
	l, replica, err := f.connect()
	if err != nil {
		return
	}
	defer l.release()
	defer func() { _ = replica.Close() }() // There is nobody to tell.
	conns := &l.member.conns
	defer conns.remove(client)
	defer conns.remove(replica)
	if conns.add(client) && conns.add(replica) {
		join(client, replica)
	}
	if conns.closed() {
		l.pool.counted.fail(failCut)
	}
}

// connect asks one replica after the other for a connection.
func (f *tcpFront) connect() (lease, *net.TCPConn, error) {
	var t turn
	for {
		l, err := f.router.acquire(&t)
		if err != nil {
			counted, kind := f.router.unrouted, failNoTarget
			if l.pool != nil {
				counted, kind = l.pool.counted, failRefused
			}
			counted.requests.Inc()
			counted.fail(kind)
			return lease{}, nil, err
		}
		replica, err := l.member.dial(context.Background())
		if err == nil {
			l.pool.counted.requests.Inc()
			return l, replica, nil
		}
		l.release()
		if errors.Is(err, errCut) {
			return lease{}, nil, err
		}
		t.refused++
	}
}

// join copies both ways until both ways are at their end.
func join(a, b net.Conn) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		relay(a, b)
	}()
	relay(b, a)
	<-done
}

// relay copies until src ends and passes the end on; the other way stays open.
// With *net.TCPConn on both sides io.Copy lets the kernel do it. An error ends
// both ways.
func relay(dst, src net.Conn) {
	_, err := io.Copy(dst, src)
	if half, ok := dst.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	}
	if err != nil {
		_ = dst.Close()
		_ = src.Close()
	}
}
