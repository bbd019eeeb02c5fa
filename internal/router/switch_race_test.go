// SPDX-License-Identifier: MPL-2.0

package router

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
)

// assignmentTester acquires and releases assignments as fast as it can. No assignment may be to a
// backend that is marked as unused.
type assignmentTester struct {
	router    *Router
	unused    sync.Map // backend ID → true
	stopped   atomic.Bool
	misplaced atomic.Int64
	workers   sync.WaitGroup
}

const rounds = 20_000

func startAssignmentTester(r *Router) *assignmentTester {
	c := &assignmentTester{router: r}
	for range 4 {
		c.workers.Go(func() {
			for !c.stopped.Load() {
				c.acquireOnce()
				// Without this, every round would last a whole time slice.
				runtime.Gosched()
			}
		})
	}
	return c
}

func (c *assignmentTester) acquireOnce() {
	var t choice
	a, err := c.router.acquire(&t)
	if err != nil {
		c.misplaced.Add(1)
		return
	}
	defer a.release()
	if _, out := c.unused.Load(a.upstream.ID); out {
		c.misplaced.Add(1)
	}
}

func (c *assignmentTester) stopAndCheck(t *testing.T) {
	t.Helper()
	c.stopped.Store(true)
	c.workers.Wait()
	if n := c.misplaced.Load(); n > 0 {
		t.Errorf("%d requests were on a backend that had to stay idle", n)
	}
}

// A pool that is idle after a switch stays idle, however close the race.
func TestNothingStartsOnTheOldPoolAfterASwitch(t *testing.T) {
	t.Parallel()
	pools := [2]*Pool{NewPool(bluegreen.Blue, nil), NewPool(bluegreen.Green, nil)}
	pools[0].Set([]Backend{{ID: "0"}})
	pools[1].Set([]Backend{{ID: "1"}})
	r := New("live", protocol.HTTP, Options{})
	r.Switch(pools[0])
	c := startAssignmentTester(r)
	for i := range rounds {
		next := fmt.Sprint((i + 1) % 2)
		c.unused.Delete(next)
		old := r.Switch(pools[(i+1)%2])
		if err := old.WaitIdle(t.Context()); err != nil {
			t.Fatal(err)
		}
		c.unused.Store(fmt.Sprint(i%2), true)
	}
	c.stopAndCheck(t)
}

// The same holds for a backend that was removed from its pool.
func TestNothingStartsOnARemovedBackend(t *testing.T) {
	t.Parallel()
	pool := NewPool(bluegreen.Blue, nil)
	pool.Set([]Backend{{ID: "0"}})
	r := New("live", protocol.HTTP, Options{})
	r.Switch(pool)
	c := startAssignmentTester(r)
	for i := range rounds / 4 {
		pool.Set([]Backend{{ID: fmt.Sprint(i + 1)}})
		if err := pool.WaitBackendIdle(t.Context(), fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
		c.unused.Store(fmt.Sprint(i), true)
	}
	c.stopAndCheck(t)
}
