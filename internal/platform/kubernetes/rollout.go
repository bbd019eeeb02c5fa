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

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// rollout waits for the pods of a Deployment that was written.
type rollout struct {
	opts      Options
	informers *workloadInformers
	// generation is the generation of the Deployment after it was written.
	generation int64
	replicas   int
	// isAutoscaled is set if an autoscaler may want another number of pods by now.
	isAutoscaled bool
	// template is the digest of the template that the pods must have, or "" for any.
	template string
	// isRecreated is set if everything that ran in the environment was removed before the
	// Deployment was written.
	isRecreated bool
	// isLive is set if pods in the environment may serve clients.
	isLive bool
	// hasExisted is set once the Deployment was seen. A Deployment that disappears after
	// that does not come back.
	hasExisted bool
	// release is the release that the pods must run, or nil for any. Pods with another
	// image are about to be replaced, so it is no failure if they cannot start.
	release *bluegreen.Release
	// known are pods that passed the health check before. Their image is not checked again.
	known []bluegreen.InstanceRef
	// creation checks the pods whose containers are not created yet.
	creation creationChecker
	// isTerminating is set while pods are being deleted. terminated is when pods were
	// last being deleted. Their end makes room for other pods.
	isTerminating bool
	terminated    time.Time
	// progress describes what was seen last.
	progress string
	// digest is the digest of the image that the pods run, or "" if the nodes do not
	// report it.
	digest string
}

// await returns when the environment has exactly the pods that it should have, and each
// has started its container. It returns an error as soon as that cannot happen any more.
func (r *rollout) await(ctx context.Context) error {
	err := r.informers.session.Await(ctx, func() (bool, time.Duration, error) { return r.check(ctx) })
	if err != nil && ctx.Err() != nil && r.progress != "" {
		return fmt.Errorf("%w while %s", err, r.progress)
	}
	return err
}

// check looks at the Deployment and its pods once. It is the cluster.Check of await.
func (r *rollout) check(ctx context.Context) (done bool, again time.Duration, err error) {
	deployment, pods, err := r.informers.current()
	if err != nil || deployment == nil && !r.hasExisted {
		return false, 0, err
	}
	if deployment == nil || deployment.DeletionTimestamp != nil {
		object := objectName("Deployment", r.opts.Namespace, r.informers.workload.deployment)
		return false, 0, fmt.Errorf("%s was removed while its pods were starting", object)
	}
	r.hasExisted = true
	r.noteTerminatingPods()
	again, err = r.checkReplicaFailure(deployment)
	if err != nil {
		return false, 0, err
	}
	started, outdated := 0, 0
	for _, pod := range pods {
		if r.template != "" && pod.Labels[labelTemplate] != r.template {
			outdated++
			continue
		}
		wait, err := r.checkPod(ctx, pod)
		if err != nil && r.hasOldImage(pod) {
			continue
		}
		if err != nil {
			return false, 0, err
		}
		again = shorterWait(again, wait)
		if status := containerStatus(pod, r.informers.workload.container); hasStarted(status) {
			if err := r.checkImage(pod); err != nil {
				return false, 0, err
			}
			started++
			r.digest = imageDigest(status)
		}
	}
	size := r.size(deployment)
	r.progress = fmt.Sprintf("%d of %d pods have started%s", started, size, r.describeWaitingPod(pods))
	isComplete := started == size && len(pods) == size && outdated == 0
	return isComplete && r.isRolledOut(deployment, size), again, nil
}

// shorterWait returns the shorter of two waits. 0 means that there is nothing to wait
// for.
func shorterWait(a, b time.Duration) time.Duration {
	if a == 0 || b == 0 {
		return max(a, b)
	}
	return min(a, b)
}

// size returns how many pods there should be.
func (r *rollout) size(deployment *appsv1.Deployment) int {
	if r.isAutoscaled && deployment.Generation >= r.generation {
		return desiredReplicas(deployment)
	}
	return r.replicas
}

// isRolledOut reports whether the cluster has replaced all pods that it is going to
// replace. If a Deployment existed before, other pods of the same release may be about to
// replace its pods. Only the status of the Deployment tells.
func (r *rollout) isRolledOut(deployment *appsv1.Deployment, size int) bool {
	if r.isRecreated {
		return true
	}
	status := deployment.Status
	return status.ObservedGeneration >= r.generation &&
		int(status.Replicas) == size && int(status.UpdatedReplicas) == size
}

// noteTerminatingPods notes whether pods are being deleted.
func (r *rollout) noteTerminatingPods() {
	wasTerminating := r.isTerminating
	if r.isTerminating = r.informers.hasTerminatingPods(); r.isTerminating || wasTerminating {
		r.terminated = r.informers.session.API().Now()
	}
}

// hasOldImage reports whether the pod has another image than the release, and so is about
// to be replaced.
func (r *rollout) hasOldImage(pod *corev1.Pod) bool {
	return r.release != nil && !slices.ContainsFunc(pod.Spec.Containers, func(c corev1.Container) bool {
		return c.Name == r.informers.workload.container && isImageOf(c.Image, *r.release)
	})
}

// checkImage returns an error if the pod was started with another image than the release
// was deployed as.
func (r *rollout) checkImage(pod *corev1.Pod) error {
	isKnown := slices.ContainsFunc(r.known, func(ref bluegreen.InstanceRef) bool {
		uid, _ := parseIncarnation(ref.Incarnation)
		return uid == pod.UID
	})
	if r.release == nil || isKnown || r.hasOldImage(pod) {
		return nil
	}
	return checkImage(pod, r.informers.workload.container, r.release.ImageDigest)
}

// describeWaitingPod says what the first of the pods that have not started waits for.
func (r *rollout) describeWaitingPod(pods []*corev1.Pod) string {
	for _, pod := range pods {
		status := containerStatus(pod, r.informers.workload.container)
		if hasStarted(status) {
			continue
		}
		if waiting := status.State.Waiting; waiting != nil {
			reason := strings.TrimSuffix(waiting.Reason+": "+waiting.Message, ": ")
			return fmt.Sprintf(", pod %s: %s", pod.Name, reason)
		}
		return fmt.Sprintf(", pod %s: %s", pod.Name, pod.Status.Phase)
	}
	return ""
}

// imageDigest returns the digest of the image of a container, or "" if the node does not
// report it.
func imageDigest(status corev1.ContainerStatus) string {
	i := strings.LastIndex(status.ImageID, "sha256:")
	if i < 0 {
		return ""
	}
	return status.ImageID[i:]
}
