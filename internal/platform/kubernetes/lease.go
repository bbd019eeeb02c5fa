// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/gentype"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The lease of a holder that died runs out leaseTime after it was renewed last.
// A holder that lives renews it three times as often.
const (
	leaseTime  = 15 * time.Second
	renewEvery = leaseTime / 3
	renewAgain = time.Second
)

// annotationToken tells one holder of a lease from another of the same name.
const annotationToken = fieldManager + "/token"

// ErrLockLost: the lock was lost, and with it the right to change anything.
var ErrLockLost = errors.New("the lock of the deployment is not held")

// expired reports whether whoever holds the lease has not renewed it in time.
func expired(spec coordinationv1.LeaseSpec, now time.Time) bool {
	if spec.HolderIdentity == nil || *spec.HolderIdentity == "" || spec.RenewTime == nil || spec.LeaseDurationSeconds == nil {
		return true
	}
	return spec.RenewTime.Add(time.Duration(*spec.LeaseDurationSeconds) * time.Second).Before(now)
}

// lease is the lock of a deployment while it is held.
type lease struct {
	client *gentype.ClientWithList[*coordinationv1.Lease, *coordinationv1.LeaseList]
	clock  *clock

	// writing is held while the cluster is asked.
	writing sync.Mutex
	// object is the lease as it was written last.
	object *coordinationv1.Lease

	mu sync.Mutex
	// until is when it runs out, by a clock that goes on while the machine sleeps.
	until time.Time
	// lost is why it will never be held again.
	lost error
	// told is called with it.
	told func(lost error)
}

// takeLease makes holder the one who holds the lease called name. While somebody
// else does it returns a *bluegreen.HolderError.
func takeLease(ctx context.Context, a *api, namespace, deployment, holder string) (*lease, error) {
	l := &lease{client: a.leases(namespace), clock: a.clock}
	for {
		err := l.take(ctx, namespace, deployment, holder)
		// Another was faster: look again who it was.
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !absent(err, "leases", leaseName(deployment)) {
			return l, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

func (l *lease) take(ctx context.Context, namespace, deployment, holder string) error {
	name := leaseName(deployment)
	found, err := l.client.Get(ctx, name, metav1.GetOptions{})
	missing := absent(err, "leases", name)
	if err != nil && !missing {
		return fmt.Errorf("reading Lease %s: %w", name, err)
	}
	if !missing && found.Labels[labelDeployment] != deployment {
		return &ForeignError{Object: objectName("Lease", namespace, name)}
	}
	if now := l.clock.now(); !missing && !expired(found.Spec, now) {
		return &bluegreen.HolderError{Holder: bluegreen.Holder{Name: *found.Spec.HolderIdentity, Since: since(found.Spec)}}
	}
	if missing {
		found = &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: objectLabels(deployment)}}
	}
	now := metav1.NewMicroTime(l.clock.now())
	seconds := int32(leaseTime.Seconds())
	found.Annotations = merged(found.Annotations, map[string]string{annotationToken: rand.Text()})
	found.Spec = coordinationv1.LeaseSpec{HolderIdentity: &holder, AcquireTime: &now, RenewTime: &now, LeaseDurationSeconds: &seconds}
	sent := time.Now()
	if missing {
		found, err = l.client.Create(ctx, found, metav1.CreateOptions{FieldManager: fieldManager})
		if absent(err, "namespaces", namespace) {
			return &OptionError{"namespace", fmt.Errorf("there is no namespace %q in the cluster; make it first", namespace)}
		}
	} else {
		found, err = l.client.Update(ctx, found, metav1.UpdateOptions{FieldManager: fieldManager})
	}
	if err != nil {
		return fmt.Errorf("writing Lease %s: %w", name, err)
	}
	l.object, l.until = found, runsOut(sent)
	return nil
}

// since is when the holder took the lease.
func since(spec coordinationv1.LeaseSpec) time.Time {
	return cmp.Or(spec.AcquireTime, spec.RenewTime).Time
}

// runsOut is when a lease that was asked for at sent ends, without the monotonic
// clock: it stands still while a machine sleeps, and the lease does not.
func runsOut(sent time.Time) time.Time { return sent.Round(0).Add(leaseTime) }

// keep renews the lease until ctx ends.
func (l *lease) keep(ctx context.Context) {
	next := renewEvery
	for pause(ctx, next) == nil {
		next = renewEvery
		if err := l.renew(ctx); errors.Is(err, ErrLockLost) {
			return
		} else if err != nil {
			next = renewAgain
		}
	}
}

// held returns an error unless the lease is held. One that ran out while the
// cluster was away is still ours if nobody took it.
func (l *lease) held(ctx context.Context) error {
	until, lost := l.state()
	if lost != nil {
		return lost
	}
	if time.Now().Round(0).Before(until) {
		return nil
	}
	if err := l.renew(ctx); err != nil {
		return fmt.Errorf("%w: it ran out and cannot be renewed: %w", ErrLockLost, err)
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

// lose makes every further change fail, ends the waits for one, and returns why.
func (l *lease) lose(why string) error {
	lost := fmt.Errorf("%w: %s", ErrLockLost, why)
	l.mu.Lock()
	l.lost = lost
	l.mu.Unlock()
	if l.told != nil {
		l.told(lost)
	}
	return lost
}

func (l *lease) renew(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if _, lost := l.state(); lost != nil {
		return lost
	}
	ctx, cancel := context.WithTimeout(ctx, leaseTime)
	defer cancel()
	err := l.insist(ctx, l.write)
	if absent(err, "leases", l.object.Name) {
		return l.lose("its Lease was removed")
	}
	return err
}

// insist does act again if the lease has changed and is ours all the same: the
// answer to an earlier write may have been lost.
func (l *lease) insist(ctx context.Context, act func(context.Context) error) error {
	err := act(ctx)
	if !apierrors.IsConflict(err) {
		return err
	}
	if err := l.reread(ctx); err != nil {
		return err
	}
	return act(ctx)
}

func (l *lease) write(ctx context.Context) error {
	now := metav1.NewMicroTime(l.clock.now())
	next := l.object.DeepCopy()
	next.Spec.RenewTime = &now
	sent := time.Now()
	written, err := l.client.Update(ctx, next, metav1.UpdateOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("renewing Lease %s: %w", next.Name, err)
	}
	l.object = written
	l.extend(runsOut(sent))
	return nil
}

func (l *lease) reread(ctx context.Context) error {
	found, err := l.client.Get(ctx, l.object.Name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("reading Lease %s: %w", l.object.Name, err)
	}
	if found.Annotations[annotationToken] != l.object.Annotations[annotationToken] {
		return l.lose(*cmp.Or(found.Spec.HolderIdentity, new(string)) + " took it")
	}
	l.object = found
	return nil
}

// release gives the lease up. Where that fails, it runs out by itself.
func (l *lease) release(ctx context.Context) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if _, lost := l.state(); lost != nil {
		return nil
	}
	_ = l.lose("it was given up") // Nobody asked for it.
	return l.insist(ctx, func(ctx context.Context) error {
		meta := l.object.ObjectMeta
		return l.client.Delete(ctx, meta.Name, metav1.DeleteOptions{
			Preconditions: &metav1.Preconditions{UID: &meta.UID, ResourceVersion: &meta.ResourceVersion},
		})
	})
}
