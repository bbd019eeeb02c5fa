// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// notifier wakes those who wait for a change.
type notifier struct {
	// hasMissedEvents is set once any informer could not see the cluster for a while.
	hasMissedEvents atomic.Bool

	mu sync.Mutex
	// changed is closed at the next change.
	changed chan struct{}
	// stopped is the reason why every wait ends, or nil.
	stopped error
}

func newNotifier() *notifier { return &notifier{changed: make(chan struct{})} }

// nextChange returns a channel that is closed at the next change.
func (n *notifier) nextChange() <-chan struct{} {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.changed
}

func (n *notifier) notify() {
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.changed)
	n.changed = make(chan struct{})
}

// stop ends every wait with the error why. A wait calls its check once more, and succeeds
// if that does.
func (n *notifier) stop(why error) {
	n.mu.Lock()
	n.stopped = why
	n.mu.Unlock()
	n.notify()
}

// err returns the reason why every wait ends, or nil.
func (n *notifier) err() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.stopped
}

// Check reports whether a wait of [Session.Await] is over. It is called after every
// change. If again is positive, it is also called after that time.
type Check func() (done bool, again time.Duration, err error)

// await implements Session.Await.
func (n *notifier) await(ctx context.Context, check Check) error {
	for {
		changed := n.nextChange()
		done, again, err := check()
		var stale *staleError
		if isStale := errors.As(err, &stale); done || (err != nil && (!isStale || stale.isPermanent())) {
			return err
		}
		if stopped := n.err(); stopped != nil {
			return stopped
		}
		if ctxErr := awaitChange(ctx, changed, again); ctxErr != nil {
			if stale != nil {
				return fmt.Errorf("%w while %w", ctxErr, stale)
			}
			return ctxErr
		}
	}
}

// awaitChange returns when changed is closed or the time again is over. If again is 0, it
// waits for the change only.
func awaitChange(ctx context.Context, changed <-chan struct{}, again time.Duration) error {
	var elapsed <-chan time.Time
	if again > 0 {
		timer := time.NewTimer(again)
		defer timer.Stop()
		elapsed = timer.C
	}
	select {
	case <-changed:
	case <-elapsed:
	case <-ctx.Done():
		return waitError(ctx)
	}
	return nil
}
