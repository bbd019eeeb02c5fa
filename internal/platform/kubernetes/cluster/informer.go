// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
)

// Object is any object of the cluster.
type Object interface {
	runtime.Object
	metav1.Object
}

// Source is what an informer lists and watches.
type Source[T Object] struct {
	// Name is what errors call the objects, such as "Deployment default/web-green".
	Name  string
	List  func(ctx context.Context, options metav1.ListOptions) (items []T, resourceVersion string, err error)
	Watch func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error)
	// Options select the objects.
	Options metav1.ListOptions
}

// Informer has the objects that a LIST found, kept current by a WATCH. If the watch
// breaks, it starts another one within about a second. The informers of client-go are not
// used, because they wait for up to half a minute and do not tell that their copy is old.
type Informer[T Object] struct {
	source   Source[T]
	notifier *notifier

	mu    sync.Mutex
	items map[types.UID]T
	// stale is the reason why the items may not be current, or nil if they are.
	stale error
}

var errNotListed = errors.New("the cluster has not answered yet")

// StartInformer starts an informer that runs until the session ends. Every change wakes
// the calls of the session's Await.
func StartInformer[T Object](s *Session, source Source[T]) *Informer[T] {
	return startInformer(s.ctx, &s.running, source, s.notifier)
}

func startInformer[T Object](
	ctx context.Context, running *sync.WaitGroup, source Source[T], n *notifier,
) *Informer[T] {
	informer := &Informer[T]{source: source, notifier: n, stale: errNotListed}
	running.Go(func() { informer.run(ctx) })
	return informer
}

// Items returns the objects, or an error while they may not be current.
func (i *Informer[T]) Items() ([]T, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.stale != nil {
		return nil, &staleError{i.source.Name, i.stale}
	}
	items := make([]T, 0, len(i.items))
	for _, item := range i.items {
		items = append(items, item)
	}
	return items, nil
}

// run lists and watches until ctx ends.
func (i *Informer[T]) run(ctx context.Context) {
	pace := backoff.ExponentialBackOff{
		InitialInterval: 50 * time.Millisecond, Multiplier: 2, MaxInterval: time.Second,
	}
	for ctx.Err() == nil {
		err := i.listAndWatch(ctx, pace.Reset)
		i.mu.Lock()
		i.stale = err
		i.mu.Unlock()
		if ctx.Err() == nil {
			i.notifier.hasMissedEvents.Store(true)
		}
		i.notifier.notify()
		if Pause(ctx, pace.NextBackOff()) != nil {
			return
		}
	}
}

// listAndWatch lists and watches once, and returns why the watch ended. It calls onList
// once the cluster has answered.
func (i *Informer[T]) listAndWatch(ctx context.Context, onList func()) error {
	items, version, err := i.source.List(ctx, i.source.Options)
	if err != nil {
		return err
	}
	options := i.source.Options
	options.ResourceVersion = version
	watching, err := i.source.Watch(ctx, options)
	if err != nil {
		return err
	}
	defer watching.Stop()
	onList()
	i.replaceAll(items)
	for event := range watching.ResultChan() {
		if event.Type == watch.Error {
			return apierrors.FromObject(event.Object)
		}
		if item, ok := event.Object.(T); ok {
			i.apply(event.Type, item)
		}
	}
	return errors.New("the watch ended")
}

func (i *Informer[T]) replaceAll(items []T) {
	i.mu.Lock()
	i.items, i.stale = make(map[types.UID]T, len(items)), nil
	for _, item := range items {
		i.items[item.GetUID()] = item
	}
	i.mu.Unlock()
	i.notifier.notify()
}

func (i *Informer[T]) apply(event watch.EventType, item T) {
	i.mu.Lock()
	if event == watch.Deleted {
		delete(i.items, item.GetUID())
	} else {
		i.items[item.GetUID()] = item
	}
	i.mu.Unlock()
	i.notifier.notify()
}

// staleError means that an informer cannot see the cluster at the moment.
type staleError struct {
	// watched is the name of the informer's source.
	watched string
	err     error
}

func (e *staleError) Error() string { return "watching " + e.watched + ": " + e.err.Error() }

func (e *staleError) Unwrap() error { return e.err }

// isPermanent reports whether the cluster answers, and refuses the request.
func (e *staleError) isPermanent() bool {
	return apierrors.IsForbidden(e.err) || apierrors.IsUnauthorized(e.err) || apierrors.IsNotFound(e.err)
}
