// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// AwaitTraffic implements bluegreen.Traffic. It returns when the Service's
// EndpointSlices hold every pod of env that is ready, and nothing else. How soon
// the nodes follow them, the cluster does not tell.
func (p *Platform) AwaitTraffic(ctx context.Context, env bluegreen.Environment) error {
	s, done, err := p.looking(ctx)
	if err != nil {
		return err
	}
	defer done()
	k, err := p.recall(ctx)
	if err != nil {
		return err
	}
	if !k.ledger.IsServing() || k.ledger.Live != env {
		return fmt.Errorf("traffic does not go to %s", env)
	}
	seen := s.watch(p.place(k.document, env))
	slices := s.endpoints(p.opts.Name)
	missing := ""
	err = s.bell.await(ctx, func() (bool, time.Duration, error) {
		pods, err := seen.pods.current()
		if err != nil {
			return false, 0, err
		}
		found, err := slices.current()
		if err != nil {
			return false, 0, err
		}
		missing = elsewhere(found, pods)
		return missing == "", 0, nil
	})
	if err != nil && missing != "" {
		return fmt.Errorf("%w: %s", err, missing)
	}
	return err
}

// elsewhere says why slices are not what they should be when the pods have the
// traffic: "" where they are.
func elsewhere(slices []*discoveryv1.EndpointSlice, pods []*corev1.Pod) string {
	receiving := receivers(slices)
	known, absent := 0, 0
	for _, pod := range pods {
		switch {
		case receiving[pod.UID]:
			known++
		case pod.DeletionTimestamp == nil && notReady(pod) == nil:
			absent++
		}
	}
	switch {
	case known < len(receiving):
		return fmt.Sprintf("%d other endpoints get its traffic", len(receiving)-known)
	case absent > 0:
		return fmt.Sprintf("%d of its ready pods get no traffic", absent)
	case known == 0:
		return "none of its pods is ready"
	default:
		return ""
	}
}

// receivers are the pods that the endpoints of a Service are.
func receivers(slices []*discoveryv1.EndpointSlice) map[types.UID]bool {
	receiving := map[types.UID]bool{}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			// "Ready" is true when it is not known.
			if endpoint.TargetRef != nil && (endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready) {
				receiving[endpoint.TargetRef.UID] = true
			}
		}
	}
	return receiving
}

// CanReceiveTraffic implements bluegreen.Traffic: the Service leads traffic to every pod of
// the environment that is ready.
func (p *Platform) CanReceiveTraffic([]bluegreen.InstanceRef, bluegreen.InstanceRef) bool {
	return true
}

// Drain implements bluegreen.Traffic. Nobody can see who still talks to a pod, so
// an environment that still runs what had the traffic is given its time. What
// is left then is closed by the end of the pods.
func (p *Platform) Drain(ctx context.Context, env bluegreen.Environment) error {
	k, err := p.recall(ctx)
	if err != nil {
		return err
	}
	api, err := p.client.open()
	if err != nil {
		return err
	}
	left, served := k.left[env]
	if !served || (k.ledger.IsServing() && k.ledger.Live == env) {
		return nil
	}
	passed := api.clock.now().Sub(left)
	if passed >= max(p.opts.DrainTimeout, shortestSettling) {
		return nil
	}
	var needed time.Duration
	for _, w := range p.workloads(k.document, env) {
		pods, err := p.pods(ctx, w)
		if err != nil {
			return err
		}
		if len(pods) > 0 {
			needed = max(needed, p.opts.DrainTimeout)
		}
		if slices.ContainsFunc(pods, endsAtOnce) {
			needed = max(needed, shortestSettling)
		}
	}
	return pause(ctx, needed-passed)
}

// endsAtOnce reports whether a container of the pod refuses connections as soon as
// it is told to end, as those of an adopted Deployment may: nodes that have not
// heard of a switch yet lead new clients there still.
func endsAtOnce(pod *corev1.Pod) bool {
	return slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return c.Lifecycle == nil || c.Lifecycle.PreStop == nil
	})
}
