// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
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
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	return f
}

func (f *httpFront) serve(l net.Listener) error {
	if err := f.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
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
