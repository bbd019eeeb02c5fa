// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// Instances implements bluegreen.Workloads. While an informer runs for the
// environment's pods it sends no request, else one LIST.
func (p *Platform) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	snapshot, err := p.ensureSnapshot(ctx)
	if err != nil {
		return nil, err
	}
	w := p.workloadOf(snapshot.document, env)
	pods, err := p.pods(ctx, w)
	if err != nil {
		return nil, err
	}
	slot := snapshot.ledger.Slot(env)
	instances := p.numberPods(w, pods, slot.Passed)
	if slot.Release != nil && env == snapshot.ledger.Staging() {
		// Traffic must not go to another build under the version of the release.
		markOtherImages(instances, pods, w.container, slot.Release.ImageDigest)
	}
	return instances, nil
}

// numberPods makes instances of the active pods.
func (p *Platform) numberPods(
	w workload, pods []*corev1.Pod, recorded []bluegreen.InstanceRef,
) []bluegreen.Instance {
	p.mu.Lock()
	defer p.mu.Unlock()
	var instances []bluegreen.Instance
	for _, pod := range p.numbers.assign(w.environment, activePods(pods), recorded) {
		status := containerStatus(pod, w.container)
		instance := bluegreen.Instance{
			ID:          fmt.Sprintf("%s-%d", w.environment, p.numbers.numbers[pod.UID]),
			Incarnation: incarnation(pod.UID, status.RestartCount),
			Running:     status.State.Running != nil || !hasStarted(status),
			Exit:        describeLastExit(pod, status),
		}
		if err := checkPodReady(pod); err != nil {
			instance.Unready = err.Error()
		}
		instances = append(instances, instance)
	}
	return instances
}

// pods returns the pods of w, from an informer that is current or from the cluster.
func (p *Platform) pods(ctx context.Context, w workload) ([]*corev1.Pod, error) {
	if run := p.currentRun(); run != nil {
		if pods, isCurrent := run.CurrentPods(w.selector); isCurrent {
			return pods, nil
		}
	}
	api, err := p.client.API()
	if err != nil {
		return nil, err
	}
	found, err := api.Pods(p.opts.Namespace).List(ctx, cluster.WithLabels(w.selector))
	if err != nil {
		return nil, fmt.Errorf("listing the pods of %s: %w", p.deploymentObject(w.deployment), err)
	}
	pods := make([]*corev1.Pod, len(found.Items))
	for i := range found.Items {
		pods[i] = &found.Items[i]
	}
	return pods, nil
}

// podOf returns the pod of an instance, perhaps as it was a while ago, and the
// workload that it belongs to.
func (p *Platform) podOf(ctx context.Context, instance bluegreen.Instance) (*corev1.Pod, workload, error) {
	name, _, _ := strings.Cut(instance.ID, "-")
	env, err := bluegreen.ParseEnvironment(name)
	if err != nil {
		return nil, workload{}, fmt.Errorf("instance %q: %w", instance.ID, err)
	}
	snapshot, err := p.ensureSnapshot(ctx)
	if err != nil {
		return nil, workload{}, couldNotAsk(err)
	}
	w := p.workloadOf(snapshot.document, env)
	uid, _ := parseIncarnation(instance.Incarnation)
	if pod := p.numberedPod(uid); pod != nil {
		return pod, w, nil
	}
	pods, err := p.pods(ctx, w)
	if err != nil {
		return nil, w, couldNotAsk(err)
	}
	for _, pod := range pods {
		if pod.UID == uid {
			return pod, w, nil
		}
	}
	return nil, w, fmt.Errorf("%s: its pod is gone", instance.ID)
}

// numberedPod returns the pod with this UID if it was numbered, else nil.
func (p *Platform) numberedPod(uid types.UID) *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.numbers.pods[uid]
}

// countReady counts the pods of w that run the slot's release and are ready, by the
// Deployment's status. During a rollout there may be more of them than there should
// be, which is not counted. A Deployment that was changed by hand runs nothing of the
// release. isFinal is false where the status may be behind the pods.
func countReady(w workload, slot bluegreen.Slot, deployments []appsv1.Deployment) (count int, isFinal bool) {
	found := findDeployment(deployments, w.deployment)
	if found == nil || isBeingDeleted(found) {
		return 0, true
	}
	container := findContainer(&found.Spec.Template, w.container)
	if slot.Release != nil && (container == nil || !isImageOf(container.Image, *slot.Release)) {
		return 0, true
	}
	size := desiredReplicas(found)
	count = min(int(found.Status.ReadyReplicas), size)
	return count, count == size
}

// countInstances returns how many instances of env are ready. It lists the pods as
// well, but only while they become ready.
func (p *Platform) countInstances(
	ctx context.Context, snapshot serviceSnapshot, env bluegreen.Environment, deployments []appsv1.Deployment,
) (int, error) {
	w := p.workloadOf(snapshot.document, env)
	slot := snapshot.ledger.Slot(env)
	count, isFinal := countReady(w, slot, deployments)
	if isFinal || slot.Release == nil {
		return count, nil
	}
	pods, err := p.pods(ctx, w)
	if err != nil {
		return 0, err
	}
	ready := slices.DeleteFunc(activePods(pods), isNotReady)
	return max(count, min(len(ready), slot.Release.Replicas)), nil
}
