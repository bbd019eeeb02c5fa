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
)

// checkReady is the name of the pod's readiness among the checks.
const checkReady = "ready"

// AwaitReady implements bluegreen.Readiness. When the cluster could not be seen for
// a while, its controllers may have been blind as well: then a pod that is to get
// the traffic has to be among the endpoints of the preview, too. The controller
// that makes them makes those of the live Service, and before it knows of the pods
// a switch would leave that without any. Otherwise this would take seconds for
// nothing: the former endpoints stay until it has made the next.
func (p *Platform) AwaitReady(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	s, done, err := p.looking(ctx)
	if err != nil {
		return bluegreen.Verdict{checkReady: err}
	}
	defer done()
	pod, w, err := p.podOf(ctx, instance)
	if err != nil {
		return bluegreen.Verdict{checkReady: err}
	}
	seen := s.watch(w)
	l := p.remembered().ledger
	staging := !l.IsServing() || l.Live != w.environment
	var cause error
	// How the wait ends is in what it saw last, unless the lock was lost.
	if err := s.bell.await(ctx, func() (bool, time.Duration, error) {
		pods, err := seen.pods.current()
		if err != nil {
			cause = err
			return false, 0, err
		}
		var over bool
		over, cause = unready(pods, w.container, instance)
		if cause == nil && staging && s.bell.blinked.Load() {
			cause = unknownTo(s.endpoints(previewName(p.opts.Name)), pod)
		}
		return cause == nil || over, 0, nil
	}); errors.Is(err, ErrLockLost) {
		cause = err
	}
	return bluegreen.Verdict{checkReady: cause}
}

// unknownTo returns why a pod is not among the endpoints of the preview, nil where
// it is.
func unknownTo(preview *follower[*discoveryv1.EndpointSlice], pod *corev1.Pod) error {
	found, err := preview.current()
	if err == nil && !receivers(found)[pod.UID] {
		err = fmt.Errorf("pod %s is ready, but not among the endpoints of the preview yet: the cluster's controllers are behind", pod.Name)
	}
	return err
}

// Ready implements bluegreen.Readiness.
func (p *Platform) Ready(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	_, w, err := p.podOf(ctx, instance)
	if err != nil {
		return bluegreen.Verdict{checkReady: err}
	}
	pods, err := p.pods(ctx, w)
	if err == nil {
		_, err = unready(pods, w.container, instance)
	}
	return bluegreen.Verdict{checkReady: err}
}

// unready returns why this run of the instance is not ready, nil when it is, and
// whether it is over and never will be.
func unready(pods []*corev1.Pod, container string, instance bluegreen.Instance) (over bool, cause error) {
	uid, restarts := runOf(instance.Incarnation)
	i := slices.IndexFunc(pods, func(pod *corev1.Pod) bool { return pod.UID == uid })
	if i < 0 || pods[i].DeletionTimestamp != nil {
		return true, errors.New("its pod is gone")
	}
	status := statusOf(pods[i], container)
	if status.RestartCount != restarts || status.State.Running == nil && hasStarted(status) {
		return true, errors.New(cmp.Or(exitIn(pods[i], status), "its container does not run"))
	}
	cause = notReady(pods[i])
	if failure := held(pods[i], container); cause != nil && failure != nil {
		return true, failure
	}
	return false, cause
}

// notReady returns why a pod gets no traffic, nil when it does.
func notReady(pod *corev1.Pod) error {
	for _, condition := range pod.Status.Conditions {
		if condition.Type != corev1.PodReady {
			continue
		}
		if condition.Status == corev1.ConditionTrue {
			return nil
		}
		return fmt.Errorf("pod %s is not ready: %s", pod.Name, cmp.Or(condition.Message, condition.Reason, "its readiness probe has not passed"))
	}
	return fmt.Errorf("pod %s is not ready yet", pod.Name)
}
