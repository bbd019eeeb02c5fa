// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// Drain implements bluegreen.Traffic. If the environment still runs pods that had the
// traffic, Drain waits until DrainTimeout has passed since the traffic left. It cannot
// end sooner, because the connections to a pod cannot be seen from outside. Connections
// that are still open then end with the pods.
func (p *Platform) Drain(ctx context.Context, env bluegreen.Environment) error {
	snapshot, err := p.ensureSnapshot(ctx)
	if err != nil {
		return err
	}
	api, err := p.client.API()
	if err != nil {
		return err
	}
	left, hadTraffic := snapshot.trafficLeft[env]
	if !hadTraffic || (snapshot.ledger.IsServing() && snapshot.ledger.Live == env) {
		return nil
	}
	passed := api.Now().Sub(left)
	if passed >= max(p.opts.DrainTimeout, minPreStopDelay) {
		return nil
	}
	var needed time.Duration
	for _, w := range p.allWorkloads(snapshot.document, env) {
		pods, err := p.pods(ctx, w)
		if err != nil {
			return err
		}
		if len(pods) > 0 {
			needed = max(needed, p.opts.DrainTimeout)
		}
		if slices.ContainsFunc(pods, canStopAtOnce) {
			needed = max(needed, minPreStopDelay)
		}
	}
	return cluster.Pause(ctx, needed-passed)
}

// canStopAtOnce reports whether a container of the pod has no preStop hook, as in an
// adopted Deployment. Such a container may refuse connections as soon as its pod is
// deleted, while nodes that do not know of the switch yet still send it new ones.
func canStopAtOnce(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return c.Lifecycle == nil || c.Lifecycle.PreStop == nil
	})
}
