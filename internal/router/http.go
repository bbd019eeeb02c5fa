// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	// readHeaderTimeout ends clients that never finish a request header. There
	// is no limit on a body or an answer: both may be streams.
	readHeaderTimeout = 10 * time.Second
	// clientIdleTimeout is longer than the 60 s for which common proxies keep
	// an idle connection, so that they close first.
	clientIdleTimeout = 2 * time.Minute
)

// httpFront serves HTTP/1.1 and h2c clients.
type httpFront struct {
	router *Router
	server *http.Server
	// listeners are what retire closes; the server has no way to close them alone.
	listeners closers
	// leaving asks clients to go; connected counts the ones that are there.
	leaving   atomic.Bool
	connected tally
	// upgraded are the clients' connections that the server has given away and
	// neither waits for nor closes.
	upgraded     closers
	upgradedLoad tally
}

var _ front = (*httpFront)(nil)

func newHTTPFront(r *Router, logger *slog.Logger) *httpFront {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	f := &httpFront{router: r}
	f.server = &http.Server{
		Handler:           f,
		Protocols:         protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       clientIdleTimeout,
		ConnContext:       withClient,
		ConnState:         f.count,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	return f
}

func (f *httpFront) serve(l net.Listener) error {
	if !f.listeners.add(l) {
		return l.Close()
	}
	defer f.listeners.remove(l)
	err := f.server.Serve(l)
	if errors.Is(err, http.ErrServerClosed) || f.listeners.closed() {
		return nil
	}
	return err
}

// count is the server's ConnState. A connection that it has given away is no
// longer the server's.
func (f *httpFront) count(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		f.connected.enter()
	case http.StateClosed, http.StateHijacked:
		f.connected.leave()
	}
}

func (f *httpFront) retire(ctx context.Context) error {
	f.leaving.Store(true)
	f.listeners.closeAll()
	if err := f.connected.wait(ctx); err != nil {
		return err
	}
	return f.upgradedLoad.wait(ctx)
}

func (f *httpFront) shutdown(ctx context.Context) error {
	err := f.server.Shutdown(ctx)
	if err == nil {
		err = f.upgradedLoad.wait(ctx)
	} else if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	f.upgraded.closeAll()
	return errors.Join(err, f.server.Close())
}

// ServeHTTP passes the request to one replica after the other until one accepts it.
func (f *httpFront) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.leaving.Load() && r.Header.Get("Upgrade") == "" {
		// The server makes GOAWAY of it where the client speaks HTTP/2.
		w.Header().Set("Connection", "close")
	}
	x := newExchange(f, w)
	defer x.free()
	var t turn
	for {
		l, err := f.router.acquire(&t)
		if err != nil {
			x.turnAway(l.pool, err)
			return
		}
		if !x.refusedBy(l, r) {
			return
		}
		t.refused++
	}
}
