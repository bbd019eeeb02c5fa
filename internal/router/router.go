// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync/atomic"
)

// Protocol is what a router speaks with its clients.
type Protocol string

const (
	// HTTP is HTTP/1.1, h2c and what upgrades from HTTP/1.1, such as WebSocket.
	HTTP Protocol = "http"
	// TCP proxies raw connections.
	TCP Protocol = "tcp"
)

// Options are the optional parts of a router.
type Options struct {
	// Metrics counts the router's switches and what found no pool; nil counts nothing.
	Metrics *Metrics
	// Logger gets what goes wrong with client connections; nil drops it.
	Logger *slog.Logger
}

// Router is one listening endpoint with one atomic target.
type Router struct {
	target   atomic.Pointer[Pool]
	front    front
	switches counter
	// unrouted counts what arrived while there was no target.
	unrouted *counters
}

// front is the side of a router that faces its clients.
type front interface {
	serve(l net.Listener) error
	retire(ctx context.Context) error
	shutdown(ctx context.Context) error
}

// New returns a router without a target. Its name, "live" or "preview", labels its metrics.
func New(name string, protocol Protocol, opts Options) *Router {
	r := &Router{switches: opts.Metrics.switchesOf(name), unrouted: opts.Metrics.counters("none")}
	logger := opts.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	logger = logger.With("router", name)
	if protocol == TCP {
		r.front = newTCPFront(r, logger)
	} else {
		r.front = newHTTPFront(r, logger)
	}
	return r
}

// Serve accepts clients on l until Shutdown, and then returns nil. It closes l.
func (r *Router) Serve(l net.Listener) error { return r.front.serve(l) }

// Retire closes the listeners and asks clients to go, with the answer to their
// next request: no request is lost then, as it can be when a connection is closed
// on which one is just coming. It returns when no client is connected any more,
// or the cause of ctx's end. Shutdown ends what is left.
func (r *Router) Retire(ctx context.Context) error { return r.front.retire(ctx) }

// Shutdown closes the listeners and returns when what is in flight has finished,
// streams, WebSockets and TCP connections included. When ctx ends first, it
// closes what is left and returns the cause. The router does not serve again.
func (r *Router) Shutdown(ctx context.Context) error { return r.front.shutdown(ctx) }

// Switch makes p the target and returns what it replaced. A request that begins
// after Switch has returned goes to p. With nil there is no target: HTTP clients
// get 503 with Retry-After, TCP connections are closed.
func (r *Router) Switch(p *Pool) (previous *Pool) {
	previous = r.target.Swap(p)
	if previous != p {
		r.switches.Inc()
	}
	return previous
}

// Target returns the pool that new requests go to, nil for none.
func (r *Router) Target() *Pool { return r.target.Load() }

var (
	errNoTarget = errors.New("no environment is live")
	// errRefused: there is no member that has not refused this request.
	errRefused = errors.New("no replica accepts connections")
)

// turn is the way of one request around the members of a roster.
type turn struct {
	roster  *roster
	first   uint64
	refused uint64
	// last are members that were passed over, to be tried after all others.
	last []*member
}

// next returns the member whose turn it is, nil when all have refused.
func (t *turn) next() *member {
	for n := uint64(len(t.roster.members)); t.refused < n; t.refused++ {
		m := t.roster.members[(t.first+t.refused)%n]
		if !m.rests() {
			return m
		}
		t.last = append(t.last, m)
	}
	if at := t.refused - uint64(len(t.roster.members)); at < uint64(len(t.last)) {
		return t.last[at]
	}
	return nil
}

// lease is the place that a request in flight has in a pool and on a member.
type lease struct {
	pool   *Pool
	load   *tally
	member *member
}

func (l lease) release() {
	l.member.load.leave()
	l.load.leave()
}

// acquire counts a request in on the member whose turn it is. When that one
// refuses, release it, say so with t.refused++, and acquire again.
func (r *Router) acquire(t *turn) (lease, error) {
	for {
		pool := r.target.Load()
		if pool == nil {
			return lease{}, errNoTarget
		}
		roster := pool.roster.Load()
		if t.roster != roster {
			*t = turn{roster: roster, first: pool.cursor.Add(1)}
		}
		member := t.next()
		if member == nil {
			return lease{pool: pool}, errRefused
		}
		l := lease{pool: pool, load: roster.load, member: member}
		l.load.enter()
		l.member.load.enter()
		// Only now is it certain that whoever swapped one of these pointers
		// sees this request in the counts.
		if r.target.Load() == pool && pool.roster.Load() == roster {
			return l, nil
		}
		l.release()
	}
}
