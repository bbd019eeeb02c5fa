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
	// readHeaderTimeout limits how long a client may take for a request header.
	// A body or an answer has no limit: both may be streams.
	readHeaderTimeout = 10 * time.Second
	// clientIdleTimeout is longer than the 60 s for which common proxies keep
	// an idle connection, so that they close first.
	clientIdleTimeout = 2 * time.Minute
)

// httpFrontend serves HTTP/1.1 and h2c clients.
type httpFrontend struct {
	router *Router
	server *http.Server
	// listeners are closed by retire; the server cannot close them alone.
	listeners closerSet
	// retiring is set once clients are asked to close their connections.
	retiring atomic.Bool
	// connected counts the clients' connections.
	connected inFlight
	// upgraded are the clients' connections that were hijacked: the server neither
	// waits for them nor closes them.
	upgraded         closerSet
	upgradedInFlight inFlight
}

var _ frontend = (*httpFrontend)(nil)

func newHTTPFrontend(r *Router, logger *slog.Logger) *httpFrontend {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	f := &httpFrontend{router: r}
	f.server = &http.Server{
		Handler:           f,
		Protocols:         protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       clientIdleTimeout,
		ConnContext:       withClient,
		ConnState:         f.countConnection,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	return f
}

func (f *httpFrontend) serve(l net.Listener) error {
	if !f.listeners.add(l) {
		return l.Close()
	}
	defer f.listeners.remove(l)
	err := f.server.Serve(l)
	if errors.Is(err, http.ErrServerClosed) || f.listeners.isClosed() {
		return nil
	}
	return err
}

// countConnection is the server's ConnState. A hijacked connection is counted in
// upgradedInFlight instead.
func (f *httpFrontend) countConnection(_ net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		f.connected.enter()
	case http.StateClosed, http.StateHijacked:
		f.connected.leave()
	}
}

func (f *httpFrontend) retire(ctx context.Context) error {
	f.retiring.Store(true)
	f.listeners.closeAll()
	if err := f.connected.waitIdle(ctx); err != nil {
		return err
	}
	return f.upgradedInFlight.waitIdle(ctx)
}

func (f *httpFrontend) shutdown(ctx context.Context) error {
	err := f.server.Shutdown(ctx)
	if err == nil {
		err = f.upgradedInFlight.waitIdle(ctx)
	} else if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	f.upgraded.closeAll()
	return errors.Join(err, f.server.Close())
}

// ServeHTTP offers the request to one upstream after the other until one accepts it.
func (f *httpFrontend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if f.retiring.Load() && r.Header.Get("Upgrade") == "" {
		// For a client that speaks HTTP/2 the server sends GOAWAY instead.
		w.Header().Set("Connection", "close")
	}
	rw := newResponseWriter(f, w)
	defer rw.recycle()
	var t roundRobin
	for {
		a, err := f.router.acquire(&t)
		if err != nil {
			rw.reject(a.pool, err)
			return
		}
		if refused := rw.proxy(a, r); !refused {
			return
		}
		t.refused++
	}
}
