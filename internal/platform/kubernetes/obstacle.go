// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"
)

// lacks reports whether an Event tells that what a volume is made of is missing, as
// a Secret: that keeps a container from being created. The cluster tries again. What
// else keeps it, as a disk that another node still has, often goes by itself.
func lacks(event corev1.Event) bool {
	return event.Reason == "FailedMount" && strings.Contains(event.Message, "not found")
}

// refusals are what a node says of a container that it cannot make, and will try to
// make again.
var refusals = []string{"CreateContainerError", "RunContainerError"}

// creations are what a container waits for that is being created.
var creations = slices.Concat([]string{"ContainerCreating", "PodInitializing"}, refusals)

// obstacle is what is in the way of pods whose containers are not created yet.
type obstacle struct {
	// asked is when the Events of a pod were last read.
	asked map[types.UID]time.Time
}

// of returns what has kept the pod waiting for longer than grace, or how long to
// wait until that is known. The Events are read once per grace, and only then; who
// may not read them goes on waiting.
func (o *obstacle) of(ctx context.Context, api *api, pod *corev1.Pod, container string, grace time.Duration) (wait time.Duration, err error) {
	since, creating := createdSince(pod, container)
	if !creating {
		return 0, nil
	}
	now := api.clock.now()
	if asked := o.asked[pod.UID]; asked.After(since) {
		since = asked
	}
	if wait := since.Add(grace).Sub(now); wait > 0 {
		return wait, nil
	}
	if o.asked == nil {
		o.asked = map[types.UID]time.Time{}
	}
	o.asked[pod.UID] = now
	if waiting := statusOf(pod, container).State.Waiting; waiting != nil && slices.Contains(refusals, waiting.Reason) {
		return 0, &StartError{Pod: pod.Name, Container: container, Reason: waiting.Reason, Message: waiting.Message}
	}
	if last := newestEvent(ctx, api, pod); lacks(last) {
		return 0, &StartError{Pod: pod.Name, Container: container, Reason: last.Reason, Message: last.Message}
	}
	// It may be an image that is large.
	return grace, nil
}

// newestEvent is what the cluster said of the pod last, an empty one where nobody
// knows.
func newestEvent(ctx context.Context, api *api, pod *corev1.Pod) corev1.Event {
	about := fields.OneTermEqualSelector("involvedObject.uid", string(pod.UID)).String()
	found, err := api.events(pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: about})
	if err != nil || len(found.Items) == 0 {
		return corev1.Event{}
	}
	return slices.MaxFunc(found.Items, func(a, b corev1.Event) int { return a.LastTimestamp.Compare(b.LastTimestamp.Time) })
}

// createdSince returns since when a pod has had its node, and whether its container
// is still to be created there.
func createdSince(pod *corev1.Pod, container string) (since time.Time, creating bool) {
	i := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue
	})
	status := statusOf(pod, container)
	if i < 0 || hasStarted(status) || status.State.Waiting != nil && !slices.Contains(creations, status.State.Waiting.Reason) {
		return time.Time{}, false
	}
	return pod.Status.Conditions[i].LastTransitionTime.Time, true
}
