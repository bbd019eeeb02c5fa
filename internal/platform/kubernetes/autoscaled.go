// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// isAutoscaled reports whether an autoscaler, such as a HorizontalPodAutoscaler, sets the
// number of replicas in any environment.
func isAutoscaled(l bluegreen.Ledger) bool {
	return slices.ContainsFunc(bluegreen.Environments(), func(env bluegreen.Environment) bool {
		release := l.Slot(env).Release
		return release != nil && release.Autoscaled
	})
}

// withCurrentSizes returns the ledger with the current sizes of the Deployments. It
// changes only the sizes that an autoscaler sets.
func (p *Platform) withCurrentSizes(d document, deployments []appsv1.Deployment) bluegreen.Ledger {
	for _, env := range bluegreen.Environments() {
		if found := findDeployment(deployments, p.workloadOf(d, env).deployment); found != nil {
			d.ledger = d.ledger.WithSize(env, desiredReplicas(found))
		}
	}
	return d.ledger
}
