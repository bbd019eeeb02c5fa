// SPDX-License-Identifier: MPL-2.0

package router

import "errors"

var (
	errNoPool = errors.New("no release serves at this address")
	// errRefused means that every upstream has refused this request.
	errRefused = errors.New("no replica accepts connections")
	// How a replica fails one request.
	errRefusedConnection = errors.New("the connection was refused")
	errNoAnswer          = errors.New("the connection was closed without an answer")
	errBrokenOff         = errors.New("the answer broke off")
)

// roundRobin picks the upstreams for one request, one after the other.
type roundRobin struct {
	state   *poolState
	first   uint64
	refused uint64
	// down are upstreams that were passed over, to be tried after all others.
	down []*upstream
}

// next returns the upstream to try now, nil when all have refused.
func (t *roundRobin) next() *upstream {
	n := uint64(len(t.state.upstreams))
	for ; t.refused < n; t.refused++ {
		u := t.state.upstreams[(t.first+t.refused)%n]
		if !u.isDown() {
			return u
		}
		t.down = append(t.down, u)
	}
	if i := t.refused - n; i < uint64(len(t.down)) {
		return t.down[i]
	}
	return nil
}

// assignment is one request in flight: the pool that serves it, and the upstream that it is on.
type assignment struct {
	pool     *Pool
	inFlight *inFlight
	upstream *upstream
}

func (a assignment) release() {
	a.upstream.inFlight.leave()
	a.inFlight.leave()
}

// acquire counts a request in on the next upstream. If the upstream refuses the
// connection, the caller releases the assignment, increments t.refused and calls
// acquire again.
func (r *Router) acquire(t *roundRobin) (assignment, error) {
	for {
		pool := r.pool.Load()
		if pool == nil {
			return assignment{}, errNoPool
		}
		state := pool.state.Load()
		if t.state != state {
			*t = roundRobin{state: state, first: pool.cursor.Add(1)}
		}
		upstream := t.next()
		if upstream == nil {
			return assignment{pool: pool}, errRefused
		}
		a := assignment{pool: pool, inFlight: state.inFlight, upstream: upstream}
		a.inFlight.enter()
		a.upstream.inFlight.enter()
		// If neither pointer has changed by now, a caller that swaps one later
		// sees this request in the counts.
		if r.pool.Load() == pool && pool.state.Load() == state {
			return a, nil
		}
		a.release()
	}
}
