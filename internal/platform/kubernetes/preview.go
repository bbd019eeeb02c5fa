// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// previewState is what a lockedRun knows about the preview, the Service that leads to
// staging.
type previewState struct {
	exists bool
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
		run.preview = &previewState{exists: true, isManaged: found.Labels[labelDeployment] == p.opts.Name}
	}
	return nil
}

// pointPreview makes the preview lead to the workload that is in staging.
func (p *Platform) pointPreview(ctx context.Context, run *lockedRun, staging workload) error {
	if !run.preview.isManaged || run.preview.deployment == staging.deployment {
		return nil
	}
	// Without force, a Service that was created meanwhile is not overwritten.
	if _, err := p.applyService(ctx, run, p.previewService(staging), run.preview.exists); err != nil {
		return fmt.Errorf("writing %s: %w", p.previewObject(), err)
	}
	run.preview = &previewState{exists: true, isManaged: true, deployment: staging.deployment}
	return nil
}

func (p *Platform) previewService(staging workload) serviceApply {
	meta := objectMeta{Name: previewName(p.opts.Name), Namespace: p.opts.Namespace, Labels: objectLabels(p.opts.Name)}
	meta.Labels[labelEnvironment] = staging.environment.String()
	ports := []servicePort{p.servicePort(staging)}
	return serviceApply{serviceKind, meta, serviceSpec{Selector: staging.selector, Ports: ports}}
}

// previewObject returns the name of the preview in errors.
func (p *Platform) previewObject() string {
	return objectName("Service", p.opts.Namespace, previewName(p.opts.Name))
}
