// SPDX-License-Identifier: MPL-2.0

package router

import (
	"errors"
	"math/rand/v2"
	"slices"
)

var (
	errNoPool = errors.New("no release serves at this address")
	// errRefused means that every upstream has refused this request.
	errRefused = errors.New("no replica accepts connections")
)

// choice picks the upstreams for one request, one after the other.
type choice struct {
	state *poolState
	// refused are upstreams that have refused this request.
	refused []*upstream
}

// next returns the upstream to try now, nil when all have refused. It is the one with fewer
// requests in flight of two picked at random, which keeps a slow replica from holding up
// the others (Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing").
func (c *choice) next() *upstream {
	if len(c.refused) == 0 {
		if u := pickOfTwo(c.state.upstreams); u != nil && !u.isDown() {
			return u
		}
	}
	// The share of a replica that is down is spread over all others.
	left := slices.DeleteFunc(slices.Clone(c.state.upstreams), func(u *upstream) bool {
		return slices.Contains(c.refused, u)
	})
	up := slices.DeleteFunc(slices.Clone(left), (*upstream).isDown)
	if len(up) > 0 {
		return pickOfTwo(up)
	}
	// Those that are down are the last resort.
	return pickOfTwo(left)
}

// pickOfTwo returns the less busy one of two random upstreams, nil if there are none.
func pickOfTwo(upstreams []*upstream) *upstream {
	n := len(upstreams)
	switch n {
	case 0:
		return nil
	case 1:
		return upstreams[0]
	}
	i, j := rand.IntN(n), rand.IntN(n-1) //nolint:gosec // balances load
	if j >= i {
		j++
	}
	if upstreams[j].inFlight.count() < upstreams[i].inFlight.count() {
		return upstreams[j]
	}
	return upstreams[i]
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
// connection, the caller releases the assignment, adds the upstream to c.refused and calls
// acquire again.
func (r *Router) acquire(c *choice) (assignment, error) {
	for {
		pool := r.pool.Load()
		if pool == nil {
			return assignment{}, errNoPool
		}
		state := pool.state.Load()
		if c.state != state {
			*c = choice{state: state}
		}
		upstream := c.next()
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
