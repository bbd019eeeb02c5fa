// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/net/http/httpguts"
)

const (
	// readHeaderTimeout limits how long a client may take for a request header.
	// A body or an answer has no limit: both may be streams.
	readHeaderTimeout = 10 * time.Second
	// clientIdleTimeout is longer than the 10 minutes for which a load balancer may keep
	// an idle connection, so that they close first.
	clientIdleTimeout = 11 * time.Minute
	// firstRequestTimeout is how long a shutdown waits for the first request of a client that has
	// connected. The server's own shutdown waits as long (net/http, closeIdleConns).
	firstRequestTimeout = 5 * time.Second
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
	// unasked counts the connections whose first request has not begun.
	unasked inFlight
	// lot has those of clients that have been silent for a while.
	lot     *parkingLot
	serving sync.Once
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
	f.lot = newParkingLot(&f.connected, r.isCrowded)
	f.server = &http.Server{
		Handler:           f,
		Protocols:         protocols,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       clientIdleTimeout,
		ConnContext:       withClient,
		// "OPTIONS *" is a question to the service.
		DisableGeneralOptionsHandler: true,
		ConnState:                    f.countConnection,
		ErrorLog:                     slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
	return f
}

func (f *httpFrontend) serve(l net.Listener) error {
	if !f.listeners.add(l) {
		return l.Close()
	}
	defer f.listeners.remove(l)
	// It goes on when the listeners are closed, until the last client has gone.
	f.serving.Do(func() { go func() { _ = f.server.Serve(f.lot) }() })
	err := f.server.Serve(&clientListener{l, f.lot})
	if errors.Is(err, http.ErrServerClosed) || f.listeners.isClosed() {
		return nil
	}
	return err
}

func (f *httpFrontend) connections() int64 {
	return f.connected.count() + f.upgradedInFlight.count()
}

func (f *httpFrontend) retire(ctx context.Context) error {
	f.retiring.Store(true)
	f.listeners.closeAll()
	if err := f.connected.waitIdle(ctx); err != nil {
		return err
	}
	return f.upgradedInFlight.waitIdle(ctx)
}

func (f *httpFrontend) closeSilent() { f.lot.closeOne() }

func (f *httpFrontend) shutdown(ctx context.Context) error {
	// Clients that are silent have nothing in flight.
	_ = f.lot.Close()
	f.awaitFirstRequests(ctx)
	err := f.server.Shutdown(ctx)
	if errors.Is(err, net.ErrClosed) {
		// Retire has closed the listeners already.
		err = nil
	}
	if err == nil {
		err = f.upgradedInFlight.waitIdle(ctx)
	} else if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	f.upgraded.closeAll()
	// It closes what is open, and its errors are those of listeners that are closed already.
	_ = f.server.Close()
	return err
}

// awaitFirstRequests stops listening and waits for clients that have connected and have not asked
// yet. The server drops a request that it reads after its shutdown has begun. A client that has
// just connected does not expect that, and may not send it again.
func (f *httpFrontend) awaitFirstRequests(ctx context.Context) {
	f.retiring.Store(true)
	f.listeners.closeAll()
	ctx, cancel := context.WithTimeout(ctx, firstRequestTimeout)
	defer cancel()
	// An error says that the time is over.
	_ = f.unasked.waitIdle(ctx)
}

// closesAfter reports whether the client's connection is closed after this request. A proxy
// must not keep one with a client of HTTP/1.0 (RFC 9112 9.3), or with one that may have
// meant another end of its body (6.1). For a client that speaks HTTP/2 the server sends
// GOAWAY instead.
func (f *httpFrontend) closesAfter(r *http.Request) bool {
	leaves := f.retiring.Load() || r.ProtoMajor == 1 && f.router.isCrowded()
	return !r.ProtoAtLeast(1, 1) || leaves && r.Header.Get("Upgrade") == "" || clientOf(r).mayContradict(r)
}

// ServeHTTP passes a request on to a replica, and its answer back.
func (f *httpFrontend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := f.newExchange(w, r)
	client := clientOf(r)
	isFirst := !client.hasAsked.Swap(true)
	if isFirst {
		f.expectNoFirstRequest(client.conn)
	}
	if status, cause := refusal(r, isFirst); status != 0 {
		// What follows such a request may be no request.
		x.closeAfterwards()
		http.Error(x, cause, status)
		x.end()
	} else {
		defer f.router.streams.await(r)()
		x.serve()
	}
	if x.isCut {
		// The client must not take what it has for the whole answer.
		panic(http.ErrAbortHandler)
	}
}

// refusal returns why a request cannot be passed on, and the status that says so; 0 if it
// can. isFirst says that it is the first one on its connection.
func refusal(r *http.Request, isFirst bool) (status int, cause string) {
	switch {
	case r.Method == http.MethodConnect:
		return http.StatusMethodNotAllowed, "this is no proxy for other servers"
	case !isToken(r.Method):
		return http.StatusBadRequest, "the method of the request is malformed"
	case !isTarget(requestTarget(r), r.Method):
		return http.StatusBadRequest, "the target of the request is malformed"
	case !httpguts.ValidHostHeader(r.Host):
		return http.StatusBadRequest, "the host of the request is malformed"
	case clientOf(r).mayHaveLostBody(r, isFirst):
		return http.StatusBadRequest, "HTTP/1.0 has no Transfer-Encoding"
	}
	return 0, ""
}
