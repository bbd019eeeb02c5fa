// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// Options are the optional parts of a router.
type Options struct {
	// Metrics counts the router's switches and the requests that arrive while
	// there is no pool; nil counts nothing.
	Metrics *Metrics
	// AdmitStream, if not nil, is asked before a request over HTTP/2 is passed on while the client
	// has another one: it can have many on one connection, and each needs a connection to a
	// replica. It waits until there is room, and then leave must be called. It returns false if
	// ctx has ended before.
	AdmitStream func(ctx context.Context) (leave func(), ok bool)
	// IsCrowded, if not nil, reports whether clients wait until others have left. Then a client of
	// HTTP/1.1 is asked to close its connection with each answer, and one that is silent is
	// disconnected. CloseSilent makes room at once.
	IsCrowded func() bool
	// Logger gets the errors of client connections; nil drops them.
	Logger *slog.Logger
}

// Router is one listening endpoint. One atomic pointer says to which pool its requests go.
type Router struct {
	name     string
	pool     atomic.Pointer[Pool]
	settings atomic.Pointer[Settings]
	frontend frontend
	streams  streamAdmission
	// isCrowded is Options.IsCrowded.
	isCrowded func() bool
	switches  counter
	// withoutPool counts what arrives while there is no pool.
	withoutPool *counters
	// forget takes the router out of the metrics.
	forget func()
}

// frontend is the side of a router that faces its clients.
type frontend interface {
	serve(l net.Listener) error
	retire(ctx context.Context) error
	shutdown(ctx context.Context) error
	closeSilent()
	// connections counts those of clients that are open.
	connections() int64
}

// New returns a router without a pool. Its name, "live" or "preview", labels its metrics.
func New(name string, speaks protocol.Protocol, opts Options) *Router {
	r := &Router{
		name: name, streams: opts.AdmitStream, isCrowded: opts.IsCrowded,
		switches: opts.Metrics.switchCounter(name), withoutPool: opts.Metrics.counters("none"),
	}
	if r.isCrowded == nil {
		r.isCrowded = func() bool { return false }
	}
	r.Configure(Settings{})
	logger := opts.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	logger = logger.With("router", name)
	if speaks == protocol.TCP {
		r.frontend = newTCPFrontend(r, logger)
	} else {
		r.frontend = newHTTPFrontend(r, logger)
	}
	r.forget = opts.Metrics.trackRouter(r)
	return r
}

// Serve accepts clients on l until Shutdown, and then returns nil. It closes l.
func (r *Router) Serve(l net.Listener) error { return r.frontend.serve(l) }

// Retire closes the listeners and asks each client to close its connection, with
// the answer to its next request. Closing the connections here could lose a
// request that is just arriving. Retire returns nil when no client is connected
// any more, or the cause of ctx's end. Shutdown ends what is left.
func (r *Router) Retire(ctx context.Context) error { return r.frontend.retire(ctx) }

// CloseSilent closes the connection of a client that has had nothing in flight for some seconds,
// if there is one. A request that it sends at the same moment is lost, as with every server
// that closes idle connections.
func (r *Router) CloseSilent() { r.frontend.closeSilent() }

// Shutdown closes the listeners and returns when what is in flight has finished,
// streams, WebSockets and TCP connections included. When ctx ends first, it
// closes what is left and returns the cause. The router does not serve again.
func (r *Router) Shutdown(ctx context.Context) error {
	defer r.forget()
	return r.frontend.shutdown(ctx)
}

// Switch sends requests to p from now on and returns the previous pool. A request that begins
// after Switch has returned goes to p. With nil there is no pool: HTTP clients
// get 503 with Retry-After, TCP connections are closed.
func (r *Router) Switch(p *Pool) (previous *Pool) {
	previous = r.pool.Swap(p)
	if previous != p {
		r.switches.Inc()
	}
	return previous
}
