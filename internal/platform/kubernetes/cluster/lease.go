// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/gentype"
)

// LeaseDuration is how long a lease lasts after its last renewal. A holder renews it
// three times in that time.
const LeaseDuration = 15 * time.Second

const (
	renewInterval = LeaseDuration / 3
	retryInterval = time.Second
)

// TokenAnnotation distinguishes one holder of a lease from another of the same name.
const TokenAnnotation = FieldManager + "/token"

// ErrLockLost means that the lock was lost, and with it the right to change anything.
var ErrLockLost = errors.New("the lock of the deployment is not held")

// ErrNotOurs means that a Lease has the name of the lock, and not the label of this
// provider.
var ErrNotOurs = errors.New("the Lease is not managed by this provider")

// LockedError means that another holder has the lease.
type LockedError struct {
	Holder string
	// Since is when the holder took it, by the cluster's clock.
	Since time.Time
	// renewed is when the holder renewed it last.
	renewed time.Time
}

func (e *LockedError) Error() string { return "the lock is held by " + e.Holder }

// LeaseOptions say which Lease is the lock.
type LeaseOptions struct {
	Namespace, Name string
	// Labels are given to a Lease that is created.
	Labels map[string]string
	// OwnerLabel is the key of the label in Labels that an existing Lease must have too.
	OwnerLabel string
	// Holder is the name of the process that takes the lease.
	Holder string
}

// isExpired reports whether the lease has no holder, or one that has not renewed it in
// time.
func isExpired(spec coordinationv1.LeaseSpec, now time.Time) bool {
	if spec.HolderIdentity == nil || *spec.HolderIdentity == "" {
		return true
	}
	if spec.RenewTime == nil || spec.LeaseDurationSeconds == nil {
		return true
	}
	return spec.RenewTime.Add(time.Duration(*spec.LeaseDurationSeconds) * time.Second).Before(now)
}

// lease is a Lease while it is held.
type lease struct {
	client *gentype.ClientWithList[*coordinationv1.Lease, *coordinationv1.LeaseList]
	api    *API

	// requests lets only one request about the lease run at a time.
	requests sync.Mutex
	// object is the lease as it was last written.
	object *coordinationv1.Lease

	mu sync.Mutex
	// until is when the lease runs out, by a clock that does not stop while the machine
	// sleeps.
	until time.Time
	// lost is the reason why the lease is lost for good, or nil.
	lost error
	// onLost is called with that reason when the lease is lost. It may be nil.
	onLost func(lost error)
}

// takeLease takes the lease. If another holder has it, takeLease waits until that one has renewed it
// or given it up, or has let it run out because it died. The error is a *LockedError, ErrNotOurs or
// another error.
func takeLease(ctx context.Context, api *API, options LeaseOptions) (*lease, error) {
	l := &lease{client: api.Leases(options.Namespace), api: api}
	var held *LockedError
	// The clock of the holder may be ahead.
	limit := api.localTime().Add(LeaseDuration + retryInterval)
	for {
		err := l.take(ctx, options)
		if now, isHeld := errors.AsType[*LockedError](err); isHeld {
			isAlive := held != nil && !now.renewed.Equal(held.renewed)
			if isAlive || api.localTime().After(limit) || Pause(ctx, retryInterval) != nil {
				return nil, err
			}
			held = now
			continue
		}
		// Another holder was faster. The next attempt finds out which one.
		wasWritten := apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err)
		if !wasWritten && !IsNotFound(err, "leases", options.Name) {
			return l, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// take reads the Lease and writes it if it is not held.
func (l *lease) take(ctx context.Context, options LeaseOptions) error {
	found, err := l.client.Get(ctx, options.Name, metav1.GetOptions{})
	isMissing := IsNotFound(err, "leases", options.Name)
	switch {
	case isMissing:
		found = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: options.Name, Labels: options.Labels}}
	case err != nil:
		return fmt.Errorf("reading Lease %s: %w", options.Name, err)
	case found.Labels[options.OwnerLabel] != options.Labels[options.OwnerLabel]:
		return ErrNotOurs
	case !isExpired(found.Spec, l.api.Now()):
		since := cmp.Or(found.Spec.AcquireTime, found.Spec.RenewTime).Time
		return &LockedError{*found.Spec.HolderIdentity, since, found.Spec.RenewTime.Time}
	}
	l.setHolder(found, options.Holder)
	sent := l.api.localTime()
	if isMissing {
		found, err = l.client.Create(ctx, found, metav1.CreateOptions{FieldManager: FieldManager})
	} else {
		found, err = l.client.Update(ctx, found, metav1.UpdateOptions{FieldManager: FieldManager})
	}
	if err != nil {
		return fmt.Errorf("writing Lease %s: %w", options.Name, err)
	}
	l.object, l.until = found, expiry(sent)
	return nil
}

// setHolder writes into object that holder takes the lease now.
func (l *lease) setHolder(object *coordinationv1.Lease, holder string) {
	now, seconds := metav1.NewMicroTime(l.api.Now()), int32(LeaseDuration.Seconds())
	setAnnotations(object, map[string]string{TokenAnnotation: rand.Text()})
	object.Spec = coordinationv1.LeaseSpec{
		HolderIdentity: &holder, AcquireTime: &now, RenewTime: &now, LeaseDurationSeconds: &seconds,
	}
}

// expiry returns when a lease ends that was requested at this time. It drops the reading
// of the monotonic clock, because that clock stops while the machine sleeps.
func expiry(sent time.Time) time.Time { return sent.Round(0).Add(LeaseDuration) }

// keep renews the lease until ctx ends or the lease is lost.
func (l *lease) keep(ctx context.Context) {
	next := renewInterval
	for Pause(ctx, next) == nil {
		next = renewInterval
		if err := l.renew(ctx); errors.Is(err, ErrLockLost) {
			return
		} else if err != nil {
			next = retryInterval
		}
	}
}

// check returns an error unless the lease is held. A lease may run out while the cluster
// cannot be reached. It is then renewed, and still held unless another holder has taken
// it.
func (l *lease) check(ctx context.Context) error {
	until, lost := l.state()
	if lost != nil {
		return lost
	}
	if l.api.localTime().Round(0).Before(until) {
		return nil
	}
	if err := l.renew(ctx); err != nil {
		return fmt.Errorf("%w: its Lease has expired and cannot be renewed: %w", ErrLockLost, err)
	}
	return nil
}

func (l *lease) state() (until time.Time, lost error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.until, l.lost
}

func (l *lease) extend(until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = until
}

// lose makes every later write fail, ends the waits of the session, and returns the error
// that they get.
func (l *lease) lose(why string) error {
	lost := fmt.Errorf("%w: %s", ErrLockLost, why)
	l.mu.Lock()
	l.lost = lost
	l.mu.Unlock()
	if l.onLost != nil {
		l.onLost(lost)
	}
	return lost
}

func (l *lease) renew(ctx context.Context) error {
	l.requests.Lock()
	defer l.requests.Unlock()
	if _, lost := l.state(); lost != nil {
		return lost
	}
	ctx, cancel := context.WithTimeout(ctx, LeaseDuration)
	defer cancel()
	return l.update(ctx, func(*coordinationv1.Lease) {})
}

// annotate renews the lease, and sets annotations of the Lease in the same request. An empty
// value removes one. It returns an error with ErrLockLost if another holder has taken the lease.
func (l *lease) annotate(ctx context.Context, annotations map[string]string) error {
	l.requests.Lock()
	defer l.requests.Unlock()
	if _, lost := l.state(); lost != nil {
		return lost
	}
	return l.update(ctx, func(object *coordinationv1.Lease) { setAnnotations(object, annotations) })
}

// setAnnotations sets annotations of object. An empty value removes one.
func setAnnotations(object *coordinationv1.Lease, annotations map[string]string) {
	object.Annotations = maps.Clone(object.Annotations)
	if object.Annotations == nil {
		object.Annotations = map[string]string{}
	}
	for key, value := range annotations {
		object.Annotations[key] = value
		if value == "" {
			delete(object.Annotations, key)
		}
	}
}

// annotations returns those of the Lease as this holder has read or written it last.
func (l *lease) annotations() map[string]string {
	l.requests.Lock()
	defer l.requests.Unlock()
	return l.object.Annotations
}

// update renews the lease, and writes in the same request what change changes.
func (l *lease) update(ctx context.Context, change func(*coordinationv1.Lease)) error {
	err := l.retryOnConflict(ctx, func(ctx context.Context) error { return l.write(ctx, change) })
	if IsNotFound(err, "leases", l.object.Name) {
		return l.lose("its Lease was removed")
	}
	return err
}

// retryOnConflict calls act once more if the Lease has changed and this process still
// holds it. That happens if the answer to an earlier write was lost.
func (l *lease) retryOnConflict(ctx context.Context, act func(context.Context) error) error {
	err := act(ctx)
	if !apierrors.IsConflict(err) {
		return err
	}
	if err := l.reread(ctx); err != nil {
		return err
	}
	return act(ctx)
}

func (l *lease) write(ctx context.Context, change func(*coordinationv1.Lease)) error {
	now := metav1.NewMicroTime(l.api.Now())
	next := l.object.DeepCopy()
	next.Spec.RenewTime = &now
	change(next)
	sent := l.api.localTime()
	written, err := l.client.Update(ctx, next, metav1.UpdateOptions{FieldManager: FieldManager})
	if err != nil {
		return fmt.Errorf("renewing Lease %s: %w", next.Name, err)
	}
	l.object = written
	l.extend(expiry(sent))
	return nil
}

// reread reads the Lease, and loses it if another holder has taken it.
func (l *lease) reread(ctx context.Context) error {
	found, err := l.client.Get(ctx, l.object.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading Lease %s: %w", l.object.Name, err)
	}
	if found.Annotations[TokenAnnotation] != l.object.Annotations[TokenAnnotation] {
		return l.lose(*cmp.Or(found.Spec.HolderIdentity, new(string)) + " has taken it")
	}
	l.object = found
	return nil
}

// release gives up the lease. It keeps the Lease without a holder and sets these annotations of it,
// or deletes it if annotations is nil. It does nothing if the lease is lost.
func (l *lease) release(ctx context.Context, annotations map[string]string) error {
	l.requests.Lock()
	defer l.requests.Unlock()
	if _, lost := l.state(); lost != nil {
		return nil
	}
	_ = l.lose("it was given up") // No caller waits for the error.
	return l.retryOnConflict(ctx, func(ctx context.Context) error {
		if annotations != nil {
			free := l.object.DeepCopy()
			free.Spec = coordinationv1.LeaseSpec{}
			setAnnotations(free, annotations)
			_, err := l.client.Update(ctx, free, metav1.UpdateOptions{FieldManager: FieldManager})
			return err
		}
		meta := l.object.ObjectMeta
		return l.client.Delete(ctx, meta.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &meta.UID, ResourceVersion: &meta.ResourceVersion},
		})
	})
}
