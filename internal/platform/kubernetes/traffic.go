// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// AwaitTraffic implements bluegreen.Traffic. It returns when the endpoints of the Service
// are exactly the ready pods of env. The cluster does not tell when the nodes use the new
// endpoints.
func (p *Platform) AwaitTraffic(ctx context.Context, env bluegreen.Environment) error {
	s, release, err := p.readSession(ctx)
	if err != nil {
		return err
	}
	defer release()
	snapshot, err := p.ensureSnapshot(ctx)
	if err != nil {
		return err
	}
	if !snapshot.ledger.IsServing() || snapshot.ledger.Live != env {
		return fmt.Errorf("traffic does not go to %s", env)
	}
	podInformer := s.Pods(p.workloadOf(snapshot.document, env).selector)
	sliceInformer := s.EndpointSlices(p.opts.Name)
	mismatch := ""
	err = s.Await(ctx, func() (bool, time.Duration, error) {
		pods, err := podInformer.Items()
		if err != nil {
			return false, 0, err
		}
		slices, err := sliceInformer.Items()
		if err != nil {
			return false, 0, err
		}
		mismatch = endpointMismatch(slices, pods)
		return mismatch == "", 0, nil
	})
	if err != nil && mismatch != "" {
		return fmt.Errorf("%w while %s", err, mismatch)
	}
	return err
}

// endpointMismatch returns how the endpoints differ from the ready pods, or "" if they do
// not.
func endpointMismatch(slices []*discoveryv1.EndpointSlice, pods []*corev1.Pod) string {
	endpoints := readyEndpoints(slices)
	present, missing := 0, 0
	for _, pod := range pods {
		switch {
		case endpoints[pod.UID]:
			present++
		case pod.DeletionTimestamp == nil && !isNotReady(pod):
			missing++
		}
	}
	switch {
	case present < len(endpoints):
		return fmt.Sprintf("%d other endpoints get its traffic", len(endpoints)-present)
	case missing > 0:
		return fmt.Sprintf("%d of its ready pods get no traffic", missing)
	case present == 0:
		return "none of its pods is ready"
	default:
		return ""
	}
}

// readyEndpoints returns the UIDs of the pods that a Service sends traffic to.
func readyEndpoints(slices []*discoveryv1.EndpointSlice) map[types.UID]bool {
	uids := map[types.UID]bool{}
	for _, slice := range slices {
		for _, endpoint := range slice.Endpoints {
			// An endpoint is ready if the condition is not set.
			if endpoint.TargetRef != nil && (endpoint.Conditions.Ready == nil || *endpoint.Conditions.Ready) {
				uids[endpoint.TargetRef.UID] = true
			}
		}
	}
	return uids
}

// CanReceiveTraffic implements bluegreen.Traffic. It is always true, because the Service
// sends traffic to every ready pod of the environment.
func (p *Platform) CanReceiveTraffic([]bluegreen.InstanceRef, bluegreen.InstanceRef) bool {
	return true
}

// isSelectingLive reports whether the Service selects the pods of the environment that
// its ledger calls live.
func (p *Platform) isSelectingLive(snapshot serviceSnapshot) bool {
	if !snapshot.ledger.IsServing() {
		return true
	}
	want := p.workloadOf(snapshot.document, snapshot.ledger.Live).selector
	have := snapshot.service.Spec.Selector
	for key, value := range want {
		if have[key] != value {
			return false
		}
	}
	return len(have) == len(want)
}
