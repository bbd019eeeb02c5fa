// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"sync"
	"sync/atomic"
)

// tally counts what is in flight and tells when nothing is. Entering and
// leaving cost one atomic addition each; only a leave that somebody waits for
// takes the lock.
type tally struct {
	n       atomic.Int64
	waiters atomic.Int32
	void    atomic.Bool

	mu   sync.Mutex
	idle chan struct{} // closed at the next zero; nil while nobody waits
}

func (t *tally) enter() { t.n.Add(1) }

func (t *tally) leave() {
	// A waiter announces itself before it reads n, and this reads waiters after
	// n was written, so one of the two sees the other.
	if t.n.Add(-1) == 0 && t.waiters.Load() > 0 {
		t.wake()
	}
}

// count returns how many have entered and not left; a voided tally has none.
func (t *tally) count() int64 {
	if t.void.Load() {
		return 0
	}
	return t.n.Load()
}

// cancel voids the tally: from now on it counts nothing and nobody waits for it.
func (t *tally) cancel() {
	t.void.Store(true)
	t.wake()
}

// wait returns when the count is zero, or with the cause of ctx's end.
func (t *tally) wait(ctx context.Context) error {
	t.waiters.Add(1)
	defer t.waiters.Add(-1)
	for {
		idle := t.arm()
		if t.count() == 0 {
			return nil
		}
		// A wake-up may be older than this wait, so the count is read again.
		select {
		case <-idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

func (t *tally) arm() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle == nil {
		t.idle = make(chan struct{})
	}
	return t.idle
}

func (t *tally) wake() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle != nil {
		close(t.idle)
		t.idle = nil
	}
}
