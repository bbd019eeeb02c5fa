// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// previewState is what a lockedRun knows about the preview, the Service that leads to
// staging.
type previewState struct {
	// service is the preview as it was read or written, nil if there is none.
	service *corev1.Service
	// isManaged is false if this provider does not manage the Service. It is then never
	// changed, and a deploy fails. Everything else works without a preview.
	isManaged bool
	// deployment is the name of the Deployment that the preview leads to, or "" if that
	// is not known.
	deployment string
}

// readPreview reads the preview once while the lock is held.
func (p *Platform) readPreview(ctx context.Context, run *lockedRun) error {
	if run.preview != nil {
		return nil
	}
	name := previewName(p.opts.Name)
	found, err := run.API().Services(p.opts.Namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err, "services", name):
		run.preview = &previewState{isManaged: true}
	case err != nil:
		return fmt.Errorf("reading %s: %w", p.previewObject(), err)
	default:
		run.preview = &previewState{service: found, isManaged: p.isManagedPreview(found)}
	}
	return nil
}

// isManagedPreview reports whether the Service with the name of the preview is ours. If somebody has
// changed its labels, the fields that this provider owns there tell.
func (p *Platform) isManagedPreview(found *corev1.Service) bool {
	return found.Labels[labelDeployment] == p.opts.Name ||
		slices.ContainsFunc(found.ManagedFields, func(entry metav1.ManagedFieldsEntry) bool {
			return entry.Manager == cluster.FieldManager && entry.Operation == metav1.ManagedFieldsOperationApply
		})
}

// previewResult is what a refresh finds of the preview.
type previewResult struct {
	// service is nil if the preview does not exist.
	service *corev1.Service
	// isForbidden is set if the user may not read the preview. A refresh works without.
	isForbidden bool
	err         error
}

// observePreview reads the preview without the lock.
func (p *Platform) observePreview(ctx context.Context, api *cluster.API) previewResult {
	name := previewName(p.opts.Name)
	found, err := api.Services(p.opts.Namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case cluster.IsNotFound(err, "services", name):
		return previewResult{}
	case apierrors.IsForbidden(err):
		return previewResult{isForbidden: true}
	case err != nil:
		return previewResult{err: fmt.Errorf("reading %s: %w", p.previewObject(), err)}
	default:
		return previewResult{service: found}
	}
}

// pointPreview makes the preview lead to the workload that is in staging.
func (p *Platform) pointPreview(ctx context.Context, run *lockedRun, staging workload) error {
	if !run.preview.isManaged || run.preview.deployment == staging.deployment {
		return nil
	}
	written, err := p.writePreview(ctx, run, staging)
	if err != nil {
		return fmt.Errorf("writing %s: %w", p.previewObject(), err)
	}
	run.preview = &previewState{service: written, isManaged: true, deployment: staging.deployment}
	return nil
}

func (p *Platform) writePreview(ctx context.Context, run *lockedRun, staging workload) (*corev1.Service, error) {
	want, found := p.previewService(staging), run.preview.service
	if err := want.recordRoute(); err != nil {
		return nil, err
	}
	if found != nil && want.Spec.Ports[0].hasOtherPort(found) {
		if _, err := p.replacePorts(ctx, run, found, want.Spec.Ports); err != nil {
			return nil, err
		}
	}
	// Without force, a Service that was created meanwhile is not overwritten.
	return p.applyService(ctx, run, want, found != nil)
}

func (p *Platform) previewService(staging workload) serviceApply {
	meta := objectMeta{
		Name: previewName(p.opts.Name), Namespace: p.opts.Namespace,
		Labels: objectLabels(p.opts.Name), Annotations: map[string]string{},
	}
	meta.Labels[labelEnvironment] = staging.environment.String()
	ports := []servicePort{p.servicePort(staging)}
	return serviceApply{serviceKind, meta, serviceSpec{Selector: staging.selector, Ports: ports}}
}

// previewObject returns the name of the preview in errors.
func (p *Platform) previewObject() string {
	return objectName("Service", p.opts.Namespace, previewName(p.opts.Name))
}
