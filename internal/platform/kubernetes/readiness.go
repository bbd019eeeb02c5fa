// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// checkReady is the name of the pod's readiness among the checks.
const checkReady = "ready"

// AwaitReady implements bluegreen.Readiness. It waits until the pod is ready.
//
// After an informer has missed events, it also waits until a pod in staging is among the
// endpoints of the preview. The cluster's controllers may have missed the same events. A
// controller that does not know the pods yet would leave the live Service without
// endpoints after the switch, and the same controller writes the endpoints of the
// preview.
//
// Without missed events this wait would cost seconds and gain nothing: the Service keeps
// its former endpoints until the controller has written the new ones.
func (p *Platform) AwaitReady(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	s, release, err := p.readSession(ctx)
	if err != nil {
		return bluegreen.Verdict{checkReady: couldNotAsk(err)}
	}
	defer release()
	pod, w, err := p.podOf(ctx, instance)
	if err != nil {
		return bluegreen.Verdict{checkReady: err}
	}
	informer := s.Pods(w.selector)
	ledger := p.lastSnapshot().ledger
	isStaging := !ledger.IsServing() || ledger.Live != w.environment
	var cause error
	// However the wait ends, the cause is what was seen last. Only the loss of the lock
	// replaces it.
	if err := s.Await(ctx, func() (bool, time.Duration, error) {
		pods, err := informer.Items()
		if err != nil {
			cause = couldNotAsk(err)
			return false, 0, err
		}
		var isOver bool
		isOver, cause = checkInstanceReady(pods, w.container, instance)
		if cause == nil && isStaging && s.HasMissedEvents() {
			cause = checkEndpoint(s.EndpointSlices(previewName(p.opts.Name)), pod)
		}
		return cause == nil || isOver, 0, nil
	}); errors.Is(err, cluster.ErrLockLost) {
		cause = err
	}
	return bluegreen.Verdict{checkReady: cause}
}

// checkEndpoint returns an error unless the pod is among the endpoints of the preview.
func checkEndpoint(preview *cluster.Informer[*discoveryv1.EndpointSlice], pod *corev1.Pod) error {
	found, err := preview.Items()
	if err == nil && !readyEndpoints(found)[pod.UID] {
		err = fmt.Errorf("pod %s is ready, but not among the endpoints of the preview yet: "+
			"the cluster's controllers are behind", pod.Name)
	}
	return err
}

// Ready implements bluegreen.Readiness. It does not wait.
func (p *Platform) Ready(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	_, w, err := p.podOf(ctx, instance)
	if err != nil {
		return bluegreen.Verdict{checkReady: err}
	}
	pods, err := p.pods(ctx, w)
	if err != nil {
		return bluegreen.Verdict{checkReady: couldNotAsk(err)}
	}
	_, cause := checkInstanceReady(pods, w.container, instance)
	return bluegreen.Verdict{checkReady: cause}
}

// checkInstanceReady returns an error if this run of the instance is not ready. isOver is
// true if it will never be ready.
func checkInstanceReady(
	pods []*corev1.Pod, container string, instance bluegreen.Instance,
) (isOver bool, cause error) {
	uid, restarts := parseIncarnation(instance.Incarnation)
	i := slices.IndexFunc(pods, func(pod *corev1.Pod) bool { return pod.UID == uid })
	if i < 0 || pods[i].DeletionTimestamp != nil {
		return true, errors.New("its pod is gone")
	}
	status := containerStatus(pods[i], container)
	if status.RestartCount != restarts || status.State.Running == nil && hasStarted(status) {
		return true, errors.New(cmp.Or(describeLastExit(pods[i], status), "its container does not run"))
	}
	cause = checkPodReady(pods[i])
	if failure := findFailedContainer(pods[i], container); cause != nil && failure != nil {
		return true, failure
	}
	return false, cause
}
