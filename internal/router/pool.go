// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Backend is one replica.
type Backend struct {
	// ID names the replica, such as "green-2".
	ID string
	// Addr is where it listens: "127.0.0.1:20123".
	Addr string
}

// Pool is the set of replicas of one environment. It is safe for concurrent use.
type Pool struct {
	metrics *Metrics
	env     bluegreen.Environment
	counted *counters
	cursor  atomic.Uint64
	roster  atomic.Pointer[roster]

	mu sync.Mutex // serializes changes of the roster; guards retired
	// retired are former members that may still have something in flight.
	retired []*member
}

// roster is what a request sees of a pool: one unchanging list of members. All
// rosters of a pool share one load until CloseConnections begins a new one.
type roster struct {
	members []*member
	load    *tally
}

// NewPool returns a pool without members. The environment labels its metrics;
// m may be nil.
func NewPool(env bluegreen.Environment, m *Metrics) *Pool {
	p := &Pool{metrics: m, env: env, counted: m.counters(string(env))}
	p.roster.Store(&roster{load: new(tally)})
	m.watch(p)
	return p
}

// Environment returns the environment the pool belongs to.
func (p *Pool) Environment() bluegreen.Environment { return p.env }

// Set replaces the members. A backend that stays, with ID and address, keeps its
// connections; what is in flight on a removed one finishes, and nothing new
// starts on it once Set has returned.
func (p *Pool) Set(backends []Backend) {
	p.mu.Lock()
	defer p.mu.Unlock()
	old := p.roster.Load()
	next := &roster{members: make([]*member, 0, len(backends)), load: old.load}
	for _, b := range backends {
		next.members = append(next.members, old.member(b, p.counted))
	}
	p.roster.Store(next)

	p.retired = slices.DeleteFunc(p.retired, func(m *member) bool { return m.load.count() == 0 })
	for _, m := range old.members {
		if !slices.Contains(next.members, m) {
			m.closeIdle()
			p.retired = append(p.retired, m)
		}
	}
}

// member returns the roster's member for this backend, or a new one.
func (r *roster) member(b Backend, c *counters) *member {
	i := slices.IndexFunc(r.members, func(m *member) bool { return m.Backend == b })
	if i < 0 {
		return newMember(b, c)
	}
	return r.members[i]
}

// InFlight returns how many requests, streams, WebSockets and TCP connections
// are in flight on the pool, removed members included.
func (p *Pool) InFlight() int64 { return p.roster.Load().load.count() }

// BackendInFlight returns how many are in flight on the backends with this ID,
// be they members still or removed.
func (p *Pool) BackendInFlight(id string) int64 {
	var n int64
	for _, m := range p.find(id) {
		n += m.load.count()
	}
	return n
}

// WaitIdle returns nil when nothing is in flight on the pool, or the cause of
// ctx's end. The answer lasts for a pool that is no router's target any more.
func (p *Pool) WaitIdle(ctx context.Context) error {
	for {
		load := p.roster.Load().load
		if err := load.wait(ctx); err != nil {
			return err
		}
		if p.roster.Load().load == load {
			return nil
		}
	}
}

// WaitBackendIdle returns nil when nothing is in flight on any backend with this
// ID, or the cause of ctx's end. The answer lasts for a backend that Set removed.
func (p *Pool) WaitBackendIdle(ctx context.Context, id string) error {
	for _, m := range p.find(id) {
		if err := m.load.wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// find returns the members, present and former, with this ID.
func (p *Pool) find(id string) []*member {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := slices.Concat(p.roster.Load().members, p.retired)
	return slices.DeleteFunc(all, func(m *member) bool { return m.ID != id })
}

// CloseConnections cuts everything in flight on the pool and returns how much
// that was. It closes the connections to the replicas, and the clients' too
// where a connection is all there is (WebSocket, TCP). What was cut is not sent
// again, and no longer counts as in flight. The pool stays usable: what begins
// afterwards gets new connections to the same members.
func (p *Pool) CloseConnections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.cut(func(m *member) *member { return newMember(m.Backend, p.counted) })
}

// Close cuts everything in flight and leaves the pool without members and
// without metrics.
func (p *Pool) Close() {
	p.metrics.unwatch(p)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut(nil)
}

// cut puts successors in the place of the members, none if successor is nil,
// before it closes what the present and former ones hold: a request reads either
// the new roster or one whose connections are all gone.
func (p *Pool) cut(successor func(*member) *member) int {
	next := &roster{load: new(tally)}
	old := p.roster.Load()
	if successor != nil {
		for _, m := range old.members {
			next.members = append(next.members, successor(m))
		}
	}
	p.roster.Store(next)
	n := int(old.load.count())
	for _, m := range slices.Concat(old.members, p.retired) {
		m.cut()
	}
	p.retired = nil
	old.load.cancel()
	return n
}
