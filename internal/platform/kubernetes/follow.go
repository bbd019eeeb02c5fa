// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// bell wakes those who wait for something to change.
type bell struct {
	// blinked is set once something that is followed could not be seen for a while.
	blinked atomic.Bool
	mu      sync.Mutex
	next    chan struct{}
	// over is why nobody is to wait any longer, nil while they may.
	over error
}

func newBell() *bell { return &bell{next: make(chan struct{})} }

// heard is closed at the next ring.
func (b *bell) heard() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.next
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.next)
	b.next = make(chan struct{})
}

// end rings for the last time that counts: whoever is not done then stops waiting.
func (b *bell) end(why error) {
	b.mu.Lock()
	b.over = why
	b.mu.Unlock()
	b.ring()
}

// ended returns why nobody is to wait any longer, nil while they may.
func (b *bell) ended() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.over
}

// await calls look now and after every ring until it is done or returns an
// error. A *blindError is none: what cannot be seen now will be seen again, unless
// the cluster forbids it, or the bell has ended. look may ask to be called again after a while in which
// nobody rings.
func (b *bell) await(ctx context.Context, look func() (done bool, again time.Duration, err error)) error {
	for {
		heard := b.heard()
		done, again, err := look()
		var blind *blindError
		if isBlind := errors.As(err, &blind); done || (err != nil && (!isBlind || blind.forGood())) {
			return err
		}
		if over := b.ended(); over != nil {
			return over
		}
		if ctxErr := listen(ctx, heard, again); ctxErr != nil {
			if blind != nil {
				return fmt.Errorf("%w while %w", ctxErr, blind)
			}
			return ctxErr
		}
	}
}

// blindError: what there is cannot be seen now.
type blindError struct{ err error }

func (e *blindError) Error() string { return "watching the cluster: " + e.err.Error() }

func (e *blindError) Unwrap() error { return e.err }

// forGood reports whether the cluster answers, and says no.
func (e *blindError) forGood() bool {
	return apierrors.IsForbidden(e.err) || apierrors.IsUnauthorized(e.err) || apierrors.IsNotFound(e.err)
}

// listen returns when the bell rings or the time is over; 0 is never.
func listen(ctx context.Context, heard <-chan struct{}, again time.Duration) error {
	var elapsed <-chan time.Time
	if again > 0 {
		timer := time.NewTimer(again)
		defer timer.Stop()
		elapsed = timer.C
	}
	select {
	case <-heard:
	case <-elapsed:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// object is what the cluster has many of.
type object interface {
	runtime.Object
	metav1.Object
}

// source is where a follower reads.
type source[T object] struct {
	list  func(ctx context.Context, options metav1.ListOptions) (items []T, resourceVersion string, err error)
	watch func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
	// options select what is followed.
	options metav1.ListOptions
}

// follower has what a LIST found, kept current by a WATCH. When the watch breaks
// it starts again, soon: client-go's informers wait for up to half a minute, and
// do not tell that what they show is old.
type follower[T object] struct {
	source[T]
	bell *bell

	mu    sync.Mutex
	items map[types.UID]T
	// stale is why the items may not be what there is now, nil while they are.
	stale error
}

var errNotListed = errors.New("the cluster has not answered yet")

// follow follows what source selects until ctx ends, and rings at every change.
func follow[T object](ctx context.Context, running *sync.WaitGroup, s source[T], b *bell) *follower[T] {
	f := &follower[T]{source: s, bell: b, stale: errNotListed}
	running.Go(func() { f.run(ctx) })
	return f
}

func (f *follower[T]) run(ctx context.Context) {
	pace := backoff.ExponentialBackOff{InitialInterval: 50 * time.Millisecond, Multiplier: 2, MaxInterval: time.Second}
	for ctx.Err() == nil {
		err := f.pass(ctx, pace.Reset)
		f.mu.Lock()
		f.stale = err
		f.mu.Unlock()
		if ctx.Err() == nil {
			f.bell.blinked.Store(true)
		}
		f.bell.ring()
		if pause(ctx, pace.NextBackOff()) != nil {
			return
		}
	}
}

// pass lists and watches once. It returns when the watch ends, and why.
func (f *follower[T]) pass(ctx context.Context, listed func()) error {
	items, version, err := f.list(ctx, f.options)
	if err != nil {
		return err
	}
	options := f.options
	options.ResourceVersion = version
	watching, err := f.watch(ctx, options)
	if err != nil {
		return err
	}
	defer watching.Stop()
	listed()
	f.replace(items)
	for event := range watching.ResultChan() {
		if event.Type == watch.Error {
			return apierrors.FromObject(event.Object)
		}
		if item, ok := event.Object.(T); ok {
			f.apply(event.Type, item)
		}
	}
	return errors.New("the watch ended")
}

func (f *follower[T]) replace(items []T) {
	f.mu.Lock()
	f.items, f.stale = make(map[types.UID]T, len(items)), nil
	for _, item := range items {
		f.items[item.GetUID()] = item
	}
	f.mu.Unlock()
	f.bell.ring()
}

func (f *follower[T]) apply(event watch.EventType, item T) {
	f.mu.Lock()
	if event == watch.Deleted {
		delete(f.items, item.GetUID())
	} else {
		f.items[item.GetUID()] = item
	}
	f.mu.Unlock()
	f.bell.ring()
}

// current returns what there is, or an error while that is not known.
func (f *follower[T]) current() ([]T, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stale != nil {
		return nil, &blindError{f.stale}
	}
	items := make([]T, 0, len(f.items))
	for _, item := range f.items {
		items = append(items, item)
	}
	return items, nil
}

// pointers returns the addresses of items, as a follower keeps them.
func pointers[T any](items []T) []*T {
	found := make([]*T, len(items))
	for i := range items {
		found[i] = &items[i]
	}
	return found
}
