// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
)

// rollout is what is waited for after a Deployment was written.
type rollout struct {
	session *session
	sight   *sight
	// generation is that of the Deployment as it was written.
	generation int64
	replicas   int
	// autoscaled is set where somebody else may want another number of pods by now.
	autoscaled bool
	// template is the digest of the template that the pods are to be made from,
	// "" for any.
	template string
	// fresh is set where this made the Deployment in the place of whatever ran, and
	// live where clients may be served by what runs.
	fresh, live bool
	// seen is set once the Deployment was: one that goes then does not come back.
	seen bool
	// image is that of the pods that are to stay, "" for any. What others need to
	// start is no trouble: they are on their way out.
	image    string
	obstacle obstacle
	// ending is set while pods are, and room is when that was last so: they make
	// room for others.
	ending bool
	room   time.Time
	// last is what was seen last.
	last string
	// digest is what the image of the pods is pinned to, "" where the nodes do not tell.
	digest string
}

// await returns when the environment has exactly the pods that it should have,
// each with a container that was started, or when that cannot be.
func (r *rollout) await(ctx context.Context) error {
	err := r.session.bell.await(ctx, r.look)
	if err != nil && ctx.Err() != nil && r.last != "" {
		return fmt.Errorf("%w while %s", err, r.last)
	}
	return err
}

func (r *rollout) look() (done bool, again time.Duration, err error) {
	deployment, pods, err := r.sight.now()
	if err != nil || deployment == nil && !r.seen {
		return false, 0, err
	}
	if deployment == nil || deployment.DeletionTimestamp != nil {
		return false, 0, fmt.Errorf("%s was removed while its pods started", objectName("Deployment", r.session.opts.Namespace, r.sight.workload.deployment))
	}
	r.seen = true
	r.makeRoom()
	patience, err := r.refused(deployment)
	if err != nil {
		return false, 0, err
	}
	again = patience
	started, former := 0, 0
	for _, pod := range pods {
		if r.template != "" && pod.Labels[labelTemplate] != r.template {
			former++
			continue
		}
		wait, err := r.trouble(pod)
		if err != nil && r.leaving(pod) {
			continue
		}
		if err != nil {
			return false, 0, err
		}
		again = sooner(again, wait)
		if status := statusOf(pod, r.sight.workload.container); hasStarted(status) {
			started++
			r.digest = digestOf(status)
		}
	}
	size := r.size(deployment)
	r.last = fmt.Sprintf("%d of %d pods have started%s", started, size, r.pending(pods))
	complete := started == size && len(pods) == size && former == 0
	return complete && r.settled(deployment, size), again, nil
}

// sooner is the shorter of two times to wait; 0 is no time at all to look again.
func sooner(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// size is how many pods there are to be.
func (r *rollout) size(deployment *appsv1.Deployment) int {
	if r.autoscaled && deployment.Generation >= r.generation {
		return sizeOf(deployment)
	}
	return r.replicas
}

// settled reports whether no other pods than these are on their way. Where there
// was a Deployment before, its pods may be about to be replaced by others of the
// same release, which only the Deployment's controller can tell.
func (r *rollout) settled(deployment *appsv1.Deployment, size int) bool {
	status := deployment.Status
	return r.fresh ||
		status.ObservedGeneration >= r.generation && int(status.Replicas) == size && int(status.UpdatedReplicas) == size
}

// refused returns why the cluster makes no pods for the Deployment as it was
// written, a quota, a policy, a service account that is missing, or how long to
// wait until that is known: pods that are ending may make room, and what checks
// pods may be starting itself.
func (r *rollout) refused(deployment *appsv1.Deployment) (wait time.Duration, err error) {
	failure, since := replicaFailure(deployment)
	if failure == nil || deployment.Status.ObservedGeneration < r.generation {
		return 0, nil
	}
	if wait = r.patience(failure, since).Sub(r.session.api.clock.now()); wait > 0 {
		return wait, nil
	}
	return 0, failure
}

// makeRoom notes whether pods are ending.
func (r *rollout) makeRoom() {
	was := r.ending
	if r.ending = r.sight.ending(); r.ending || was {
		r.room = r.session.api.clock.now()
	}
}

// patience is until when the cluster may refuse pods before that is a failure.
// Where others have just ended, it takes a while until it tries again.
func (r *rollout) patience(failure *StartError, since time.Time) time.Time {
	opts := r.session.opts
	switch {
	case r.ending:
		return since.Add(opts.grace() + opts.SchedulingGrace)
	case !strings.Contains(failure.Message, "exceeded quota"):
		return since.Add(opts.SchedulingGrace)
	case r.room.IsZero():
		return since
	default:
		return r.room.Add(opts.SchedulingGrace)
	}
}

// leaving reports whether the pod has another image than those that are to stay.
func (r *rollout) leaving(pod *corev1.Pod) bool {
	return r.image != "" && !slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return c.Name == r.sight.workload.container && c.Image == r.image
	})
}

// trouble returns why the pod will never start, or how long to wait until that is known.
func (r *rollout) trouble(pod *corev1.Pod) (wait time.Duration, err error) {
	if failure := stuck(pod, r.sight.workload.container); failure != nil {
		return 0, failure
	}
	reason := unschedulable(pod)
	if reason == "" {
		return r.obstacle.of(r.session.ctx, r.session.api, pod, r.sight.workload.container, r.session.opts.SchedulingGrace)
	}
	if wait = pod.CreationTimestamp.Add(r.session.opts.SchedulingGrace).Sub(r.session.api.clock.now()); wait > 0 {
		return wait, nil
	}
	return 0, &StartError{Pod: pod.Name, Reason: corev1.PodReasonUnschedulable, Message: reason}
}

// pending says what the first of the pods that have not started waits for.
func (r *rollout) pending(pods []*corev1.Pod) string {
	for _, pod := range pods {
		status := statusOf(pod, r.sight.workload.container)
		if hasStarted(status) {
			continue
		}
		if waiting := status.State.Waiting; waiting != nil {
			return fmt.Sprintf(", pod %s: %s", pod.Name, strings.TrimSuffix(waiting.Reason+": "+waiting.Message, ": "))
		}
		return fmt.Sprintf(", pod %s: %s", pod.Name, pod.Status.Phase)
	}
	return ""
}

// hasStarted reports whether the container runs or has ever run.
func hasStarted(status corev1.ContainerStatus) bool {
	return status.State.Running != nil || status.State.Terminated != nil || status.LastTerminationState.Terminated != nil
}

// replicaFailure returns why the last pod was refused, and since when that is so.
func replicaFailure(deployment *appsv1.Deployment) (failure *StartError, since time.Time) {
	i := slices.IndexFunc(deployment.Status.Conditions, func(c appsv1.DeploymentCondition) bool {
		return c.Type == appsv1.DeploymentReplicaFailure && c.Status == corev1.ConditionTrue
	})
	if i < 0 {
		return nil, time.Time{}
	}
	condition := deployment.Status.Conditions[i]
	return &StartError{Deployment: deployment.Name, Reason: condition.Reason, Message: condition.Message}, condition.LastTransitionTime.Time
}

// digestOf is what the image of a container is pinned to.
func digestOf(status corev1.ContainerStatus) string {
	i := strings.LastIndex(status.ImageID, "sha256:")
	if i < 0 {
		return ""
	}
	return status.ImageID[i:]
}
