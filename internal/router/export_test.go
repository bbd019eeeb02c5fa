// SPDX-License-Identifier: MPL-2.0

package router

import (
	"net"
	"time"
)

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

// ParkAfter sets after what time without a request a client's connection is parked. Call
// it before Serve.
func (r *Router) ParkAfter(d time.Duration) {
	if f, ok := r.frontend.(*httpFrontend); ok {
		f.lot.after = d
	}
}

// Parked returns how many clients' connections are parked.
func (r *Router) Parked() int {
	f, ok := r.frontend.(*httpFrontend)
	if !ok {
		return 0
	}
	f.lot.parked.mu.Lock()
	defer f.lot.parked.mu.Unlock()
	return len(f.lot.parked.open)
}

// Connections returns how many clients are connected.
func (r *Router) Connections() int64 { return r.frontend.connections() }

// LastWriteTimeout is lastWriteTimeout.
const LastWriteTimeout = lastWriteTimeout

// StopLastWrite stops an upload over a connection to a replica. The router has all of the body,
// and its last write ends while the upload is being stopped.
func StopLastWrite(conn *net.TCPConn) {
	u := &upload{conn: &replicaConn{TCPConn: conn}, quit: make(chan struct{}), done: make(chan struct{})}
	u.isReceived.Store(true)
	go func() {
		<-u.quit
		close(u.done)
	}()
	u.stop(nil)
}

// ObserveDuration counts a request that took so long.
func (p *Pool) ObserveDuration(d time.Duration) { p.durations.observe(d) }
