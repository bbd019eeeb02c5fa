// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"sync"
	"sync/atomic"
)

// inFlight counts what is in flight and lets others wait until nothing is.
// Entering and leaving cost one atomic addition each; leave takes the lock only
// if somebody waits.
type inFlight struct {
	n         atomic.Int64
	waiters   atomic.Int32
	discarded atomic.Bool

	mu   sync.Mutex
	idle chan struct{} // closed at the next zero; nil while nobody waits
}

func (f *inFlight) enter() { f.n.Add(1) }

func (f *inFlight) leave() {
	// A waiter adds itself before it reads n, and leave reads waiters after it
	// has changed n, so at least one of the two sees the other.
	if f.n.Add(-1) == 0 && f.waiters.Load() > 0 {
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
	f.waiters.Add(1)
	defer f.waiters.Add(-1)
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
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.idle == nil {
		f.idle = make(chan struct{})
	}
	return f.idle
}

func (f *inFlight) notify() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.idle != nil {
		close(f.idle)
		f.idle = nil
	}
}
