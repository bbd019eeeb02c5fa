// SPDX-License-Identifier: MPL-2.0

package router

// Pool returns the pool that new requests go to, nil for none.
func (r *Router) Pool() *Pool { return r.pool.Load() }

// InFlight returns how many requests, streams, WebSockets and TCP connections
// are in flight on the pool, those on removed backends included.
func (p *Pool) InFlight() int64 { return p.state.Load().inFlight.count() }

// BackendInFlight returns how many are in flight on the backends with this ID,
// present and removed ones together.
func (p *Pool) BackendInFlight(id string) int64 {
	var n int64
	for _, u := range p.find(id) {
		n += u.inFlight.count()
	}
	return n
}
