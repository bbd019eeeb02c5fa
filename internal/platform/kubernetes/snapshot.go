// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// serviceSnapshot is the live Service as it was last read or written.
type serviceSnapshot struct {
	// service is nil if the Service does not exist.
	service *corev1.Service
	document
	// isLoaded is false until the Service was read.
	isLoaded bool
	// lost says why the annotations could not be read, if they are those of the copy; see restore.
	lost error
}

// readSnapshot reads the live Service and remembers it. If there is none, the snapshot
// has no service. A Service whose annotations were lost is read from their copy. It
// returns an error for a Service that this provider does not manage, unless Adopt is set.
// It also returns an error for a Service that is being deleted, unless its ledger says
// that a destroy deletes it.
func (p *Platform) readSnapshot(ctx context.Context) (serviceSnapshot, error) {
	api, err := p.client.API()
	if err != nil {
		return serviceSnapshot{}, err
	}
	service, err := api.Services(p.opts.Namespace).Get(ctx, p.opts.Name, metav1.GetOptions{})
	if cluster.IsNotFound(err, "services", p.opts.Name) {
		return p.remember(serviceSnapshot{isLoaded: true}), nil
	}
	if apierrors.IsNotFound(err) {
		return serviceSnapshot{}, fmt.Errorf("reading %s: the answer is a 404 that did not come from the API server: "+
			"check the address of the cluster, and any proxy in between: %w", p.serviceObject(), err)
	}
	if err != nil {
		return serviceSnapshot{}, fmt.Errorf("reading %s: %w", p.serviceObject(), err)
	}
	snapshot := serviceSnapshot{service: service, isLoaded: true}
	if snapshot.document, err = readDocument(service); err != nil {
		snapshot, err = p.restore(ctx, api, service, err)
	}
	var notManaged *notManagedError
	adopts := errors.As(err, &notManaged) && p.opts.Adopt
	switch {
	case err != nil && !adopts:
		return serviceSnapshot{}, err
	case service.DeletionTimestamp != nil && !snapshot.ledger.Destroying:
		return serviceSnapshot{}, newBeingDeletedError("Service", service)
	case adopts:
		return p.adopt(ctx, api, service)
	default:
		return p.remember(snapshot), nil
	}
}

// remember keeps the snapshot, and returns it. The ledger in it has the key that is known.
func (p *Platform) remember(snapshot serviceSnapshot) serviceSnapshot {
	snapshot.ledger = p.withKey(snapshot.ledger, nil)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.snapshot = snapshot
	return snapshot
}

// ensureSnapshot returns the remembered snapshot. It reads the Service if there is none
// yet.
func (p *Platform) ensureSnapshot(ctx context.Context) (serviceSnapshot, error) {
	if snapshot := p.lastSnapshot(); snapshot.isLoaded {
		return snapshot, nil
	}
	return p.readSnapshot(ctx)
}

// lastSnapshot returns the remembered snapshot, which may not be loaded.
func (p *Platform) lastSnapshot() serviceSnapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.snapshot
}

// Load implements bluegreen.Store.
func (p *Platform) Load(ctx context.Context) (bluegreen.Ledger, error) {
	snapshot, err := p.readSnapshot(ctx)
	if err == nil && snapshot.service == nil {
		err = bluegreen.ErrNotFound
	}
	isKeyMissing := snapshot.ledger.Key == "" && snapshot.ledger.HasKeyedFingerprint()
	if err != nil || !isAutoscaled(snapshot.ledger) && !isKeyMissing {
		return snapshot.ledger, err
	}
	api, err := p.client.API()
	if err != nil {
		return bluegreen.Ledger{}, err
	}
	deployments, err := p.listDeployments(ctx, api)
	if err != nil {
		return bluegreen.Ledger{}, err
	}
	return p.withKey(p.withCurrentSizes(snapshot.document, deployments), deployments), nil
}

// History implements bluegreen.Store.
func (p *Platform) History(ctx context.Context) ([]bluegreen.Record, error) {
	snapshot, err := p.readSnapshot(ctx)
	return snapshot.history, err
}
