// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Session is what runs in the background for one namespace: the lease while a lock
// is held, informers, and port-forward tunnels.
type Session struct {
	api       *API
	namespace string
	// lease is nil without a lock.
	lease *lease

	ctx      context.Context
	cancel   context.CancelFunc
	running  sync.WaitGroup
	notifier *notifier
	tunnels  tunnels

	mu sync.Mutex
	// The informers that were started, by the name of the Deployment, the selector of
	// the pods, and the name of the Service.
	deployments    map[string]*Informer[*appsv1.Deployment]
	pods           map[string]*Informer[*corev1.Pod]
	endpointSlices map[string]*Informer[*discoveryv1.EndpointSlice]
}

// NewSession returns a session without a lock. It can only be used for reading. It runs
// until it is closed, even if ctx ends before.
func NewSession(ctx context.Context, api *API, namespace string) *Session {
	s := &Session{
		api: api, namespace: namespace, notifier: newNotifier(),
		deployments:    map[string]*Informer[*appsv1.Deployment]{},
		pods:           map[string]*Informer[*corev1.Pod]{},
		endpointSlices: map[string]*Informer[*discoveryv1.EndpointSlice]{},
	}
	s.ctx, s.cancel = context.WithCancel(context.WithoutCancel(ctx))
	return s
}

// Lock takes the lease and returns a session that renews it. If another holder has the
// lease, the error is a *LockedError.
func Lock(ctx context.Context, api *API, options LeaseOptions) (*Session, error) {
	held, err := takeLease(ctx, api, options)
	if err != nil {
		return nil, err
	}
	s := NewSession(ctx, api, options.Namespace)
	s.lease, held.onLost = held, s.notifier.stop
	s.running.Go(func() { held.keep(s.ctx) })
	return s, nil
}

// API returns the API for reading.
func (s *Session) API() *API { return s.api }

// Writer returns the API for the next write, or an error with ErrLockLost. Ask for it
// immediately before each write, after reading what the write depends on. Then no other
// holder of the lock has written in between.
func (s *Session) Writer(ctx context.Context) (*API, error) {
	if s.lease == nil {
		return nil, ErrLockLost
	}
	return s.api, s.lease.check(ctx)
}

// Err returns an error with ErrLockLost once the lock is lost, and nil before.
func (s *Session) Err() error { return s.notifier.err() }

// HasMissedEvents reports whether any informer of the session could not see the cluster for
// a while, and so saw changes late.
func (s *Session) HasMissedEvents() bool { return s.notifier.hasMissedEvents.Load() }

// Await calls check now, and after every change that an informer of the session sees,
// until check is done or returns an error. It goes on waiting if the error says that an
// informer is not current, unless the cluster forbids the informer's request. It also
// returns an error if ctx ends or the lock is lost.
func (s *Session) Await(ctx context.Context, check Check) error { return s.notifier.await(ctx, check) }

// Go runs f in the background. The end of the session waits for f. The context of f does
// not end with the session, but after limit.
func (s *Session) Go(limit time.Duration, f func(ctx context.Context)) {
	s.running.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), limit)
		defer cancel()
		f(ctx)
	})
}

// Close ends the session, and returns when nothing of it runs any more. It does not
// release the lease, which runs out by itself as it would at the end of the process.
func (s *Session) Close() {
	if s.lease != nil {
		_ = s.lease.lose("the platform was closed") // No caller waits for the error.
	}
	s.stop()
}

// AnnotateLease sets annotations of the Lease. An empty value removes one. It returns an error
// with ErrLockLost unless the lock is held at that moment.
func (s *Session) AnnotateLease(ctx context.Context, annotations map[string]string) error {
	if s.lease == nil {
		return ErrLockLost
	}
	return s.lease.annotate(ctx, annotations)
}

// LeaseAnnotations returns the annotations of the Lease of a session that has the lock.
func (s *Session) LeaseAnnotations() map[string]string { return s.lease.annotations() }

// Unlock ends the session and releases the lease. annotate gets the annotations of the Lease, and
// returns those to set. If it returns nil, the Lease is deleted. If that fails, or takes longer
// than limit, the lease runs out by itself.
func (s *Session) Unlock(limit time.Duration, annotate func(lease map[string]string) map[string]string) {
	s.stop()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), limit)
	defer cancel()
	_ = s.lease.release(ctx, annotate(s.lease.annotations()))
}

func (s *Session) stop() {
	s.cancel()
	s.tunnels.close()
	s.running.Wait()
}

// Deployment returns the informer for the Deployment of this name. It starts the informer
// if it does not run.
func (s *Session) Deployment(name string) *Informer[*appsv1.Deployment] {
	return ensureInformer(s, s.deployments, name, func() Source[*appsv1.Deployment] {
		return s.api.deploymentSource(s.namespace, name)
	})
}

// Pods returns the informer for the pods with these labels. It starts the informer if it
// does not run.
func (s *Session) Pods(selector map[string]string) *Informer[*corev1.Pod] {
	return ensureInformer(s, s.pods, labels.FormatLabels(selector), func() Source[*corev1.Pod] {
		return s.api.podSource(s.namespace, selector)
	})
}

// EndpointSlices returns the informer for the EndpointSlices of a Service. It starts the
// informer if it does not run.
func (s *Session) EndpointSlices(service string) *Informer[*discoveryv1.EndpointSlice] {
	return ensureInformer(s, s.endpointSlices, service, func() Source[*discoveryv1.EndpointSlice] {
		return s.api.endpointSliceSource(s.namespace, service)
	})
}

func ensureInformer[T Object](
	s *Session, informers map[string]*Informer[T], key string, source func() Source[T],
) *Informer[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if informers[key] == nil {
		informers[key] = StartInformer(s, source())
	}
	return informers[key]
}

// CurrentPods returns the pods with these labels. isCurrent is false if no informer for
// them runs, or if that is not current. CurrentPods starts no informer.
func (s *Session) CurrentPods(selector map[string]string) (pods []*corev1.Pod, isCurrent bool) {
	s.mu.Lock()
	informer := s.pods[labels.FormatLabels(selector)]
	s.mu.Unlock()
	if informer == nil {
		return nil, false
	}
	pods, err := informer.Items()
	return pods, err == nil
}
