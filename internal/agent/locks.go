// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"crypto/rand"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// locks are the locks of the deployments. A deployment need not exist to be locked. All
// locks end with the agent, because the connections of their holders do.
type locks struct {
	// freed is called with a deployment's name when its lock ends, before another
	// client can have it.
	freed func(name string)

	mu     sync.Mutex
	held   map[string]*lock
	closed bool
	// paused is true while an agent hands over to another.
	paused bool
}

type lock struct {
	token  string
	holder bluegreen.Holder
	// lost ends when the lock does.
	lost context.Context
	end  context.CancelCauseFunc
	// changes are going on under the lock.
	changes sync.WaitGroup
	// isDone is true once the holder has said that it will change nothing more.
	isDone bool
	ended  bool
}

func newLocks(freed func(name string)) *locks { return &locks{freed: freed, held: map[string]*lock{}} }

// acquire makes holder the only one to change the deployment called name, or
// returns a *bluegreen.LockedError at once.
func (l *locks) acquire(name, holder string) (*lock, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed || l.paused {
		return nil, api.ErrLeaving
	}
	if present := l.held[name]; present != nil {
		return nil, &bluegreen.LockedError{Holder: present.holder}
	}
	acquired := &lock{token: rand.Text(), holder: bluegreen.Holder{Name: holder, Since: time.Now().UTC()}}
	acquired.lost, acquired.end = context.WithCancelCause(context.Background())
	l.held[name] = acquired
	return acquired, nil
}

// release ends a lock: it stops the changes that go on under it, and waits for
// them, so that they never overlap with those of the next holder. It is not an
// error if the lock has ended before.
func (l *locks) release(name, token string) {
	l.mu.Lock()
	present := l.held[name]
	if present == nil || present.token != token || present.ended {
		l.mu.Unlock()
		return
	}
	present.ended = true
	l.mu.Unlock()

	present.end(api.ErrLockLost)
	present.changes.Wait()
	l.freed(name)

	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.held, name)
}

// withToken begins a change. Its context ends with ctx or when the lock does; done
// ends the change.
func (l *locks) withToken(ctx context.Context, name, token string) (_ context.Context, done func(), err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	present := l.held[name]
	if present == nil || present.token != token || present.ended {
		return nil, nil, fmt.Errorf("%s: %w", name, api.ErrLockLost)
	}
	present.changes.Add(1)
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(present.lost, func() { cancel(context.Cause(present.lost)) })
	return ctx, func() {
		stop()
		cancel(nil)
		present.changes.Done()
	}, nil
}

// names returns the deployments that are locked.
func (l *locks) names() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Sorted(maps.Keys(l.held))
}

// markDone notes that the holder of the lock of name will change nothing more.
func (l *locks) markDone(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if present := l.held[name]; present != nil {
		present.isDone = true
	}
}

// closeIf gives out no more locks if every holder is done and condition returns
// true; closed reports whether it does. The condition stays true from then on,
// because nothing can be changed.
func (l *locks) closeIf(condition func() bool) (closed bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, present := range l.held {
		if !present.isDone {
			return false
		}
	}
	if condition() {
		l.closed = true
	}
	return l.closed
}

// isLast reports whether locks are closed and only the lock of name is still held.
func (l *locks) isLast(name string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, held := l.held[name]
	return l.closed && held && len(l.held) == 1
}
