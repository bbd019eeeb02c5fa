// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"sync/atomic"
)

// inFlight counts what is in flight and lets others wait until nothing is. It
// takes no lock.
type inFlight struct {
	n         atomic.Int64
	discarded atomic.Bool
	// idle is closed and removed when n becomes zero. It is nil while nothing waits.
	idle atomic.Pointer[chan struct{}]
}

func (f *inFlight) enter() { f.n.Add(1) }

func (f *inFlight) leave() {
	// A waiter stores idle before it reads n, and leave reads idle after it has
	// changed n, so at least one of the two sees the other.
	if f.n.Add(-1) == 0 {
		f.notify()
	}
}

// count returns how many have entered and not left, zero after discard.
func (f *inFlight) count() int64 {
	if f.discarded.Load() {
		return 0
	}
	return f.n.Load()
}

// discard makes the count zero for good and ends every wait.
func (f *inFlight) discard() {
	f.discarded.Store(true)
	f.notify()
}

// waitIdle returns nil when the count is zero, or the cause of ctx's end.
func (f *inFlight) waitIdle(ctx context.Context) error {
	for {
		idle := f.subscribe()
		if f.count() == 0 {
			return nil
		}
		// A notification may be older than this wait, so the count is read again.
		select {
		case <-idle:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// subscribe returns the channel that the next notify closes.
func (f *inFlight) subscribe() <-chan struct{} {
	created := make(chan struct{})
	for {
		if f.idle.CompareAndSwap(nil, &created) {
			return created
		}
		if existing := f.idle.Load(); existing != nil {
			return *existing
		}
	}
}

func (f *inFlight) notify() {
	if idle := f.idle.Load(); idle != nil && f.idle.CompareAndSwap(idle, nil) {
		close(*idle)
	}
}
