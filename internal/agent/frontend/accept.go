// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// entrance is where the clients of a listener group come in, until it is closed. Clients whose
// proxy has yet to name them wait apart, so that they hold up nobody.
type entrance struct {
	share *share
	// makeRoom closes the connection of a client that is silent, if there is one.
	makeRoom func()
	policy   atomic.Pointer[headerPolicy]
	log      *slog.Logger
	// warned is when the log last said that clients wait, in nanoseconds since 1970.
	warned atomic.Int64
	// open ends when the entrance is closed.
	open  context.Context
	close context.CancelFunc
	// arriving are the listeners that accept, and the clients whose header is being read.
	arriving sync.WaitGroup
	// introduced are clients whose header was read. ended is closed after the last of them, and
	// served once the router counts that one too.
	introduced    chan net.Conn
	ended, served chan struct{}
}

func newEntrance(admission *share, log *slog.Logger) *entrance {
	e := &entrance{
		share: admission, log: log,
		introduced: make(chan net.Conn), ended: make(chan struct{}), served: make(chan struct{}),
	}
	e.policy.Store(&headerPolicy{})
	e.open, e.close = context.WithCancel(context.Background())
	return e
}

// serve calls serve for each listener, and for one more that has the introduced clients.
func (e *entrance) serve(listeners []*net.TCPListener, serve func(net.Listener)) {
	for _, listener := range listeners {
		e.arriving.Go(func() { serve(&admittingListener{listener, e}) })
	}
	go func() {
		defer close(e.served)
		serve(&introducedListener{e, listeners[0].Addr()})
	}()
	go func() {
		e.arriving.Wait()
		close(e.ended)
	}()
}

// awaitIntroductions waits until every client that was accepted has been introduced to the
// router, or ctx ends. No listener accepts any more.
func (e *entrance) awaitIntroductions(ctx context.Context) {
	select {
	case <-e.served:
	case <-ctx.Done():
	}
}

// admit waits until there is room for one more client. It returns false if the entrance is
// closed before.
func (e *entrance) admit() bool {
	if isAdmitted, _ := e.share.tryAdmit(); isAdmitted {
		return true
	}
	now := time.Now().UnixNano()
	if last := e.warned.Load(); now-last > int64(time.Minute) && e.warned.CompareAndSwap(last, now) {
		connected, limit := e.share.clientsAndLimit()
		e.log.Warn("clients wait, because too many are connected", "connected", connected, "max_connections", limit)
	}
	return e.share.admit(e.open.Done(), e.makeRoom)
}

// receive introduces the client once its header was read. It closes the connection without one.
func (e *entrance) receive(policy *headerPolicy, conn *admittedConn) {
	introduced, err := policy.introduce(e.open, conn)
	if err != nil {
		_ = conn.Close()
		if e.open.Err() == nil {
			policy.warn.Do(func() {
				e.log.Warn("a connection was refused; the next ones like it are not logged", "error", err)
			})
		}
		return
	}
	select {
	case e.introduced <- introduced:
	case <-e.open.Done():
		_ = conn.Close()
	}
}

// admittingListener accepts the clients that need no introduction. While there is no room for
// another client, it accepts one and lets it wait; the others wait in the kernel's queue.
type admittingListener struct {
	*net.TCPListener

	entrance *entrance
}

// Accept implements net.Listener.
func (l *admittingListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptTCP()
		if err != nil {
			return nil, err
		}
		if !l.entrance.admit() {
			conn.Close()
			return nil, net.ErrClosed
		}
		admitted, policy := newAdmittedConn(conn, l.entrance.share), l.entrance.policy.Load()
		if !policy.isProxy(conn.RemoteAddr()) {
			return admitted, nil
		}
		l.entrance.arriving.Go(func() { l.entrance.receive(policy, admitted) })
	}
}

// introducedListener has the clients whose proxy has named them. It ends after the last one
// that the other listeners have accepted, and not when it is closed.
type introducedListener struct {
	entrance *entrance
	addr     net.Addr
}

var errNoMoreClients = errors.New("the other listeners are closed")

// Accept implements net.Listener.
func (l *introducedListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.entrance.introduced:
		return conn, nil
	case <-l.entrance.ended:
		return nil, errNoMoreClients
	}
}

// Close implements net.Listener.
func (l *introducedListener) Close() error { return nil }

// Addr implements net.Listener.
func (l *introducedListener) Addr() net.Addr { return l.addr }
