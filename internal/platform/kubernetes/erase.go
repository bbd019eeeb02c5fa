// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// Erase implements bluegreen.Store. It deletes the live Service last, because that holds
// the ledger.
func (p *Platform) Erase(ctx context.Context) error {
	run, err := p.requireLock(ctx)
	if err != nil {
		return err
	}
	for {
		snapshot, err := p.readSnapshot(ctx)
		if err != nil || snapshot.service == nil {
			return err
		}
		err = p.deleteServices(ctx, run, snapshot.service)
		// A Service that has changed since is read again. It may be only its status.
		if !apierrors.IsConflict(err) || ctx.Err() != nil {
			return err
		}
	}
}

func (p *Platform) deleteServices(ctx context.Context, run *lockedRun, live *corev1.Service) error {
	if err := p.readPreview(ctx, run); err != nil {
		return err
	}
	if run.preview.isManaged {
		if err := p.deleteService(ctx, run, previewName(p.opts.Name), nil); err != nil {
			return err
		}
		run.preview = nil
	}
	asRead := &metav1.Preconditions{UID: &live.UID, ResourceVersion: &live.ResourceVersion}
	if err := p.deleteService(ctx, run, p.opts.Name, asRead); err != nil {
		return err
	}
	p.remember(serviceSnapshot{isLoaded: true})
	return nil
}

// deleteService deletes a Service and waits until it is gone. A new deployment of the
// same name would otherwise write its ledger to a Service that is being deleted.
func (p *Platform) deleteService(
	ctx context.Context, run *lockedRun, name string, preconditions *metav1.Preconditions,
) error {
	api, err := run.Writer(ctx)
	if err != nil {
		return err
	}
	err = api.Services(p.opts.Namespace).Delete(ctx, name, metav1.DeleteOptions{Preconditions: preconditions})
	if cluster.IsNotFound(err, "services", name) {
		return nil
	}
	if err == nil {
		err = p.awaitServiceGone(ctx, run, name)
	}
	if err != nil {
		return fmt.Errorf("removing %s: %w", objectName("Service", p.opts.Namespace, name), err)
	}
	return nil
}

// awaitServiceGone returns when a Service that was deleted is gone. That takes minutes if
// a load balancer holds it by a finalizer. The Service is polled, because a watch needs
// the right to list all Services.
func (p *Platform) awaitServiceGone(ctx context.Context, run *lockedRun, name string) error {
	pace := backoff.ExponentialBackOff{
		InitialInterval: 50 * time.Millisecond, Multiplier: 2, MaxInterval: time.Second,
	}
	var deleting error
	for pace.Reset(); ; {
		found, err := run.API().Services(p.opts.Namespace).Get(ctx, name, metav1.GetOptions{})
		if cluster.IsNotFound(err, "services", name) || err == nil && found.DeletionTimestamp == nil {
			// A Service that is not being deleted is a new one of the same name.
			return nil
		}
		if err == nil {
			deleting = newBeingDeletedError("Service", found)
			err = cluster.Pause(ctx, pace.NextBackOff())
		}
		if err != nil && deleting != nil {
			return fmt.Errorf("%w while %w", err, deleting)
		}
		if err != nil {
			return err
		}
		if lost := run.Err(); lost != nil {
			return lost
		}
	}
}
