// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// This file finds out why a pod does not start: the cluster refuses to create it, no node
// takes it, a node cannot create its containers, or a container cannot run.

// hasStarted reports whether the container runs or has ever run.
func hasStarted(status corev1.ContainerStatus) bool {
	state := status.State
	return state.Running != nil || state.Terminated != nil || status.LastTerminationState.Terminated != nil
}

// checkReplicaFailure returns an error if the cluster creates no pods for the Deployment,
// for example because of a quota, a policy or a missing service account. While that may
// pass, it returns how long to wait. It passes if pods that end make room, or if an
// admission webhook is only starting.
func (r *rollout) checkReplicaFailure(deployment *appsv1.Deployment) (wait time.Duration, err error) {
	failure, since := findReplicaFailure(deployment)
	if failure == nil || deployment.Status.ObservedGeneration < r.generation {
		return 0, nil
	}
	if wait = r.replicaFailureDeadline(failure, since).Sub(r.informers.session.API().Now()); wait > 0 {
		return wait, nil
	}
	return 0, failure
}

// replicaFailureDeadline returns how long the cluster may refuse pods before that is a
// failure. After other pods have ended, the cluster takes a while to try again.
func (r *rollout) replicaFailureDeadline(failure *StartError, since time.Time) time.Time {
	switch {
	case r.isTerminating:
		return since.Add(r.opts.gracePeriod() + r.opts.SchedulingGrace)
	case !strings.Contains(failure.Message, "exceeded quota"):
		return since.Add(r.opts.SchedulingGrace)
	case r.terminated.IsZero():
		return since
	default:
		return r.terminated.Add(r.opts.SchedulingGrace)
	}
}

// findReplicaFailure returns why the cluster refuses to create pods, and since when. It
// returns nil if the cluster does not refuse.
func findReplicaFailure(deployment *appsv1.Deployment) (failure *StartError, since time.Time) {
	i := slices.IndexFunc(deployment.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
		return c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue
	})
	if i < 0 {
		return nil, time.Time{}
	}
	condition := deployment.Status.Conditions[i]
	failure = &StartError{Deployment: deployment.Name, Reason: condition.Reason, Message: condition.Message}
	return failure, condition.LastTransitionTime.Time
}

// checkPod returns an error if the pod will never start. While that is not certain, it
// returns how long to wait before the next check.
func (r *rollout) checkPod(ctx context.Context, pod *corev1.Pod) (wait time.Duration, err error) {
	container, grace, api := r.informers.workload.container, r.opts.SchedulingGrace, r.informers.session.API()
	if failure := findStartFailure(pod, container); failure != nil {
		return 0, failure
	}
	message := unschedulableMessage(pod)
	if message == "" {
		return r.creation.check(ctx, api, pod, container, grace)
	}
	if wait = pod.CreationTimestamp.Add(grace).Sub(api.Now()); wait > 0 {
		return wait, nil
	}
	return 0, &StartError{Pod: pod.Name, Reason: corev1.PodReasonUnschedulable, Message: message}
}

// unschedulableMessage returns why no node takes the pod, or "" if a node may.
func unschedulableMessage(pod *corev1.Pod) string {
	for _, condition := range pod.Status.Conditions {
		isRefused := condition.Type == corev1.PodScheduled && condition.Status == corev1.ConditionFalse
		if isRefused && condition.Reason == corev1.PodReasonUnschedulable {
			return cmp.Or(condition.Message, "no node takes it")
		}
	}
	return ""
}

// reasonCrashLoop is the cluster's reason while a container that ends again and again
// waits for its next start. The cluster does not report it if the wait is too short to be
// seen.
const reasonCrashLoop = "CrashLoopBackOff"

// permanentReasons are the reasons of waiting containers that do not go away without a
// change. A first failed pull is not among them, because the next pull may succeed.
var permanentReasons = []string{
	"ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "CreateContainerConfigError", reasonCrashLoop,
}

// permanentReason returns the reason why a container will never run, and the cluster's
// message. The reason is "" if the container may still run.
func permanentReason(status corev1.ContainerStatus) (reason, message string) {
	waiting, end := status.State.Waiting, status.State.Terminated
	switch {
	case waiting != nil && slices.Contains(permanentReasons, waiting.Reason):
		return waiting.Reason, cmp.Or(waiting.Message, "no message")
	case end != nil && end.ExitCode != 0 && status.RestartCount > 0:
		return reasonCrashLoop, fmt.Sprintf("it was started %d times", status.RestartCount+1)
	default:
		return "", ""
	}
}

// findStartFailure returns an error if a pod will never start the container that runs the
// release, and nil if it may. Once that container has started, the health check decides
// about it.
func findStartFailure(pod *corev1.Pod, container string) *StartError {
	if hasStarted(containerStatus(pod, container)) {
		return nil
	}
	return findFailedContainer(pod, "")
}

// findFailedContainer returns an error about a container of the pod that will never run,
// or nil if all may run. It does not look at the container with the name except.
func findFailedContainer(pod *corev1.Pod, except string) *StartError {
	for _, status := range slices.Concat(pod.Status.InitContainerStatuses, pod.Status.ContainerStatuses) {
		if status.Name == except {
			continue
		}
		if reason, message := permanentReason(status); reason != "" {
			return &StartError{
				Pod: pod.Name, Container: status.Name, Reason: reason, Message: message, Exit: lastExit(status),
			}
		}
	}
	return nil
}

// creationErrors are the reasons for which a node could not create a container. The node
// tries again.
var creationErrors = []string{"CreateContainerError", "RunContainerError"}

// creatingReasons are the reasons of a container that is waiting to be created.
var creatingReasons = slices.Concat([]string{"ContainerCreating", "PodInitializing"}, creationErrors)

// creationChecker finds out why nodes do not create the containers of pods.
type creationChecker struct {
	// read is when the Events of a pod of a ReplicaSet were last read, by the ReplicaSet's
	// UID.
	read map[types.UID]time.Time
}

// check returns an error if the container was not created within grace and will not be.
// While that is not certain, it returns how long to wait before the next check. In that
// time it reads the Events of one pod of a ReplicaSet: the others have the same volumes.
// Without the right to read them, it goes on waiting.
func (c *creationChecker) check(
	ctx context.Context, api *cluster.API, pod *corev1.Pod, container string, grace time.Duration,
) (wait time.Duration, err error) {
	since, isCreating := creatingSince(pod, container)
	if !isCreating {
		return 0, nil
	}
	now := api.Now()
	if wait := since.Add(grace).Sub(now); wait > 0 {
		return wait, nil
	}
	waiting := containerStatus(pod, container).State.Waiting
	if waiting != nil && slices.Contains(creationErrors, waiting.Reason) {
		return 0, &StartError{Pod: pod.Name, Container: container, Reason: waiting.Reason, Message: waiting.Message}
	}
	owner := pod.UID
	if controller := metav1.GetControllerOf(pod); controller != nil {
		owner = controller.UID
	}
	if wait := c.read[owner].Add(grace).Sub(now); wait > 0 {
		return wait, nil
	}
	if c.read == nil {
		c.read = map[types.UID]time.Time{}
	}
	c.read[owner] = now
	if last := lastEvent(ctx, api, pod); isMissingVolumeSource(last) {
		return 0, &StartError{Pod: pod.Name, Container: container, Reason: last.Reason, Message: last.Message}
	}
	// The node may be pulling a large image.
	return grace, nil
}

// creatingSince returns when the pod got its node, and whether its container is still to
// be created there.
func creatingSince(pod *corev1.Pod, container string) (since time.Time, isCreating bool) {
	i := slices.IndexFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodScheduled && c.Status == corev1.ConditionTrue
	})
	status := containerStatus(pod, container)
	if i < 0 || hasStarted(status) {
		return time.Time{}, false
	}
	if waiting := status.State.Waiting; waiting != nil && !slices.Contains(creatingReasons, waiting.Reason) {
		return time.Time{}, false
	}
	return pod.Status.Conditions[i].LastTransitionTime.Time, true
}

// lastEvent returns the newest Event about the pod. It returns an empty one if there is
// none, or if the Events cannot be read.
func lastEvent(ctx context.Context, api *cluster.API, pod *corev1.Pod) corev1.Event {
	about := fields.OneTermEqualSelector("involvedObject.uid", string(pod.UID)).String()
	found, err := api.Events(pod.Namespace).List(ctx, metav1.ListOptions{FieldSelector: about})
	if err != nil || len(found.Items) == 0 {
		return corev1.Event{}
	}
	return slices.MaxFunc(found.Items, func(a, b corev1.Event) int {
		return a.LastTimestamp.Compare(b.LastTimestamp.Time)
	})
}

// isMissingVolumeSource reports whether an Event says that the source of a volume, such
// as a Secret, does not exist. Other reasons often go away, such as a disk that another
// node still uses.
func isMissingVolumeSource(event corev1.Event) bool {
	return event.Reason == "FailedMount" && strings.Contains(event.Message, "not found")
}
