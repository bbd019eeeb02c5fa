// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/csaupgrade"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// writeLiveService writes the selector, the ledger and the history of the live Service in
// one request, after their copy. The request moves the traffic to next.Live. The cluster
// refuses it if the Service has changed since before was read.
func (p *Platform) writeLiveService(
	ctx context.Context, run *lockedRun, before serviceSnapshot, next bluegreen.Ledger, closed []bluegreen.Record,
) (serviceSnapshot, error) {
	doc := before.withLedger(next, closed, run.API().Now())
	annotations, err := doc.annotations()
	if err != nil {
		return serviceSnapshot{}, err
	}
	var others map[string]string
	if before.service != nil {
		if before.service.DeletionTimestamp != nil {
			// A write to it would be lost.
			return serviceSnapshot{}, newBeingDeletedError("Service", before.service)
		}
		others = before.service.Annotations
	}
	live, selector := p.workloadOf(doc, next.Live), podLabels(p.opts.Name, noEnvironment)
	if next.IsServing() {
		selector = live.selector
	}
	want := p.liveService(live, selector, annotations)
	if err := want.recordRoute(); err != nil {
		return serviceSnapshot{}, err
	}
	if before.lost != nil {
		want.emptyDamaged(before.service)
	}
	if err := checkSize(want.Metadata.Annotations, others, before.ledger, next); err != nil {
		return serviceSnapshot{}, err
	}
	if err := p.writeCopy(ctx, run, want.Metadata.Annotations); err != nil {
		return serviceSnapshot{}, err
	}
	written, err := p.replaceLiveService(ctx, run, want, before.service)
	if err != nil {
		return serviceSnapshot{}, err
	}
	return p.remember(serviceSnapshot{service: written, document: doc, isLoaded: true}), nil
}

// replaceLiveService creates the live Service, or replaces found if that is not nil. The
// cluster refuses the write if the Service has changed, or was created, since it was
// read.
func (p *Platform) replaceLiveService(
	ctx context.Context, run *lockedRun, want serviceApply, found *corev1.Service,
) (*corev1.Service, error) {
	if found == nil {
		return p.createService(ctx, run, want)
	}
	var err error
	if want.Spec.Ports[0].hasOtherPort(found) {
		if found, err = p.replacePorts(ctx, run, found, want.Spec.Ports); err != nil {
			return nil, err
		}
	}
	if found, err = p.ownCreatedFields(ctx, run, found); err != nil {
		return nil, err
	}
	want.Metadata.ResourceVersion = found.ResourceVersion
	return p.applyService(ctx, run, want, true)
}

// createService creates a Service. It does not use a server-side apply, which cannot
// require that there is none: it would overwrite a Service that another holder of the
// lock created meanwhile.
func (p *Platform) createService(ctx context.Context, run *lockedRun, want serviceApply) (*corev1.Service, error) {
	encoded, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	var object corev1.Service
	if err := json.Unmarshal(encoded, &object); err != nil {
		return nil, err
	}
	api, err := run.Writer(ctx)
	if err != nil {
		return nil, err
	}
	return api.Services(p.opts.Namespace).Create(ctx, &object, metav1.CreateOptions{FieldManager: createManager})
}

// createManager owns the fields that createService sets. It is not cluster.FieldManager,
// because other tools may have written an adopted Service under a name like that.
const createManager = cluster.FieldManager + "-create"

// ownCreatedFields hands the fields that createManager owns over to cluster.FieldManager,
// and returns the Service after that. A server-side apply removes a label, an annotation
// or a port that is no longer wanted only if no create or update owns it.
func (p *Platform) ownCreatedFields(
	ctx context.Context, run *lockedRun, service *corev1.Service,
) (*corev1.Service, error) {
	// The patch contains the Service's resourceVersion.
	patch, err := csaupgrade.UpgradeManagedFieldsPatch(service, sets.New(createManager), cluster.FieldManager)
	if err != nil || patch == nil {
		return service, err
	}
	api, err := run.Writer(ctx)
	if err != nil {
		return nil, err
	}
	return api.Services(p.opts.Namespace).Patch(ctx, service.Name, types.JSONPatchType, patch,
		metav1.PatchOptions{FieldManager: cluster.FieldManager})
}

// applyService writes a Service by a server-side apply. force overwrites fields that
// others have set.
func (p *Platform) applyService(
	ctx context.Context, run *lockedRun, want serviceApply, force bool,
) (*corev1.Service, error) {
	encoded, err := json.Marshal(want)
	if err != nil {
		return nil, err
	}
	api, err := run.Writer(ctx)
	if err != nil {
		return nil, err
	}
	return api.Services(p.opts.Namespace).Patch(ctx, want.Metadata.Name, types.ApplyPatchType, encoded,
		metav1.PatchOptions{FieldManager: cluster.FieldManager, Force: &force})
}
