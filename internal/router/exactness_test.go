// SPDX-License-Identifier: MPL-2.0

package router

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// crowd takes and releases leases as fast as it can. Every lease must be on a
// backend that is not marked as out of use.
type crowd struct {
	router    *Router
	outOfUse  sync.Map // backend ID → true
	stop      atomic.Bool
	misplaced atomic.Int64
	visitors  sync.WaitGroup
}

const rounds = 20_000

func newCrowd(r *Router) *crowd {
	c := &crowd{router: r}
	for range 4 {
		c.visitors.Go(func() {
			for !c.stop.Load() {
				c.visit()
				// Without a pause every round would last a time slice.
				runtime.Gosched()
			}
		})
	}
	return c
}

func (c *crowd) visit() {
	var t turn
	l, err := c.router.acquire(&t)
	if err != nil {
		c.misplaced.Add(1)
		return
	}
	defer l.release()
	if _, out := c.outOfUse.Load(l.member.ID); out {
		c.misplaced.Add(1)
	}
}

func (c *crowd) disperse(t *testing.T) {
	t.Helper()
	c.stop.Store(true)
	c.visitors.Wait()
	if n := c.misplaced.Load(); n > 0 {
		t.Errorf("%d requests were where nothing should have been in flight any more", n)
	}
}

// What is idle after a switch stays idle, however close the race.
func TestNothingStartsBehindASwitch(t *testing.T) {
	t.Parallel()
	pools := [2]*Pool{NewPool(bluegreen.Blue, nil), NewPool(bluegreen.Green, nil)}
	pools[0].Set([]Backend{{ID: "0"}})
	pools[1].Set([]Backend{{ID: "1"}})
	r := New("live", HTTP, Options{})
	r.Switch(pools[0])
	c := newCrowd(r)
	for i := range rounds {
		next := fmt.Sprint((i + 1) % 2)
		c.outOfUse.Delete(next)
		old := r.Switch(pools[(i+1)%2])
		if err := old.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.outOfUse.Store(fmt.Sprint(i%2), true)
	}
	c.disperse(t)
}

// The same for a replica that was taken out of its pool.
func TestNothingStartsBehindARemoval(t *testing.T) {
	t.Parallel()
	pool := NewPool(bluegreen.Blue, nil)
	pool.Set([]Backend{{ID: "0"}})
	r := New("live", HTTP, Options{})
	r.Switch(pool)
	c := newCrowd(r)
	for i := range rounds / 4 {
		pool.Set([]Backend{{ID: fmt.Sprint(i + 1)}})
		if err := pool.WaitBackendIdle(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		c.outOfUse.Store(fmt.Sprint(i), true)
	}
	c.disperse(t)
}
