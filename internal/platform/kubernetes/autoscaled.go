// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// autoscaled reports whether the size of any environment is somebody else's, such
// as a HorizontalPodAutoscaler's.
func autoscaled(l bluegreen.Ledger) bool {
	return slices.ContainsFunc(bluegreen.Environments(), func(env bluegreen.Environment) bool {
		release := l.Slot(env).Release
		return release != nil && release.Autoscaled
	})
}

// withSizes is the ledger with the sizes that its Deployments have now, where
// those are not ours.
func (p *Platform) withSizes(d document, deployments []appsv1.Deployment) bluegreen.Ledger {
	for _, env := range bluegreen.Environments() {
		if found := named(p.place(d, env).deployment, deployments); found != nil {
			d.ledger = d.ledger.WithSize(env, sizeOf(found))
		}
	}
	return d.ledger
}

// deployments lists those of the deployment.
func (p *Platform) deployments(ctx context.Context, api *api) ([]appsv1.Deployment, error) {
	found, err := api.deployments(p.opts.Namespace).List(ctx, metav1.ListOptions{LabelSelector: labelDeployment + "=" + p.opts.Name})
	if err != nil {
		return nil, fmt.Errorf("listing the Deployments of %s: %w", p.serviceObject(), err)
	}
	return found.Items, nil
}

// named returns the Deployment of this name, nil where there is none.
func named(name string, deployments []appsv1.Deployment) *appsv1.Deployment {
	i := slices.IndexFunc(deployments, func(d appsv1.Deployment) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return &deployments[i]
}

// sizeOf is how many pods a Deployment is to have.
func sizeOf(d *appsv1.Deployment) int {
	if d.Spec.Replicas == nil {
		return 0
	}
	return int(*d.Spec.Replicas)
}
