// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"net"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Backend is one replica, as the owner of a pool names it.
type Backend struct {
	// ID names the replica, such as "green-2".
	ID string
	// Addr is where it listens: "127.0.0.1:20123".
	Addr string
}

// Pool is the set of replicas of one environment. It is safe for concurrent use.
type Pool struct {
	metrics   *Metrics
	env       bluegreen.Environment
	counters  *counters
	state     atomic.Pointer[poolState]
	durations durations
	// release is the version of the release that runs, for the access log.
	release atomic.Pointer[string]

	// report is described at OnFailure, and dial at DialWith; they may be nil.
	report FailureReport
	dial   Dialer

	mu sync.Mutex // serializes changes of the state; guards removed
	// removed are former upstreams that may still have something in flight.
	removed []*upstream
}

// poolState is what a request sees of a pool: one immutable list of upstreams.
// All states of a pool share one count until CloseConnections begins a new one.
type poolState struct {
	upstreams []*upstream
	inFlight  *inFlight
}

// NewPool returns a pool without backends. The environment labels its metrics;
// m may be nil.
func NewPool(env bluegreen.Environment, m *Metrics) *Pool {
	p := &Pool{metrics: m, env: env, counters: m.counters(string(env))}
	p.state.Store(&poolState{inFlight: new(inFlight)})
	m.track(p)
	return p
}

// FailureReport is called for each request that a replica failed: it refused the
// connection, broke off before or in its answer, answered nonsense, or did not answer in
// time. inARow counts these requests since the last one that the replica answered. The call
// delays the request.
type FailureReport func(b Backend, inARow int, cause error)

// Dialer connects to a replica by TCP.
type Dialer func(ctx context.Context, b Backend) (net.Conn, error)

// DialWith makes the pool connect to its replicas with dial. Call it before the first Set.
func (p *Pool) DialWith(dial Dialer) { p.dial = dial }

// OnFailure makes the pool report every failed request. Call it before the first Set.
func (p *Pool) OnFailure(report FailureReport) { p.report = report }

// Environment returns the environment the pool belongs to.
func (p *Pool) Environment() bluegreen.Environment { return p.env }

// SetVersion sets the version of the release that the backends run. It is for the access log.
func (p *Pool) SetVersion(version string) { p.release.Store(&version) }

func (p *Pool) version() string {
	if version := p.release.Load(); version != nil {
		return *version
	}
	return ""
}

// Set replaces the backends. A backend that keeps its ID and address also keeps its
// connections. Requests in flight on a removed backend finish, and no new ones start on it
// once Set has returned.
func (p *Pool) Set(backends []Backend) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.state.Load()
	next := &poolState{upstreams: make([]*upstream, 0, len(backends)), inFlight: old.inFlight}
	for _, b := range backends {
		next.upstreams = append(next.upstreams, p.upstreamFor(old, b))
	}
	p.state.Store(next)

	p.removed = slices.DeleteFunc(p.removed, func(u *upstream) bool { return u.inFlight.count() == 0 })
	for _, u := range old.upstreams {
		if !slices.Contains(next.upstreams, u) {
			u.closeIdle()
			p.removed = append(p.removed, u)
		}
	}
}

// upstreamFor returns the existing upstream of this backend, or a new one.
func (p *Pool) upstreamFor(state *poolState, b Backend) *upstream {
	i := slices.IndexFunc(state.upstreams, func(u *upstream) bool { return u.Backend == b })
	if i < 0 {
		return p.newUpstream(b)
	}
	return state.upstreams[i]
}

func (p *Pool) newUpstream(b Backend) *upstream {
	return newUpstream(b, p.dial, p.report, p.metrics.answerCounters(string(p.env), b.ID))
}

// WaitIdle returns nil when nothing is in flight on the pool, or the cause of
// ctx's end. The pool then stays idle once no router sends requests to it.
func (p *Pool) WaitIdle(ctx context.Context) error {
	for {
		inFlight := p.state.Load().inFlight
		if err := inFlight.waitIdle(ctx); err != nil {
			return err
		}
		if p.state.Load().inFlight == inFlight {
			return nil
		}
	}
}

// WaitBackendIdle returns nil when nothing is in flight on any backend with this
// ID, or the cause of ctx's end. A backend that Set removed then stays idle.
func (p *Pool) WaitBackendIdle(ctx context.Context, id string) error {
	for _, u := range p.find(id) {
		if err := u.inFlight.waitIdle(ctx); err != nil {
			return err
		}
	}
	return nil
}

// find returns the upstreams with this ID, present and removed ones.
func (p *Pool) find(id string) []*upstream {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Concat(p.state.Load().upstreams, p.removed)
	return slices.DeleteFunc(all, func(u *upstream) bool { return u.ID != id })
}

// CloseConnections cuts everything in flight on the pool and returns how much
// that was. It closes the connections to the replicas, and those of WebSocket and
// TCP clients, who have no other way to notice. What was cut is not sent again
// and no longer counts as in flight. The pool stays usable: new requests get new
// connections to the same backends.
func (p *Pool) CloseConnections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut(func(u *upstream) *upstream { return p.newUpstream(u.Backend) })
}

// Close cuts everything in flight and leaves the pool without backends and
// without metrics.
func (p *Pool) Close() {
	p.metrics.untrack(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut(nil)
}

// cut replaces the upstreams by successors, by none if successor is nil, and
// only then closes the connections of the old and the removed ones. So a request
// reads either the new state or one whose connections are all closed.
func (p *Pool) cut(successor func(*upstream) *upstream) int {
	next := &poolState{inFlight: new(inFlight)}
	old := p.state.Load()
	if successor != nil {
		for _, u := range old.upstreams {
			next.upstreams = append(next.upstreams, successor(u))
		}
	}
	p.state.Store(next)
	n := int(old.inFlight.count())
	for _, u := range slices.Concat(old.upstreams, p.removed) {
		u.cut()
	}
	p.removed = nil
	old.inFlight.discard()
	return n
}
