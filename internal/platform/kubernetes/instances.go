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

// Instances implements bluegreen.Workloads. It sends no request if an informer has the
// current pods of the environment. Otherwise it sends one LIST.
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
		// Another build under the version of the release must not get traffic.
		markOtherImages(instances, pods, w.container, slot.Release.ImageDigest)
	}
	return instances, nil
}

// numberPods returns the active pods as instances, in the order of their numbers.
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

// pods returns the pods of w. It asks the cluster unless an informer has the current
// ones.
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

// podOf returns the pod of an instance, and the workload that it belongs to. The pod may
// be an older copy.
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

// numberedPod returns the pod with this UID if it was numbered, and nil otherwise.
func (p *Platform) numberedPod(uid types.UID) *corev1.Pod {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.numbers.pods[uid]
}

// countReady returns how many pods of w run the slot's release and are ready, according
// to the Deployment's status. It never returns more than the Deployment should have,
// because a rollout starts more for a while. If the Deployment has another image, set by
// hand, it returns 0. isFinal is false if the status may be behind the pods.
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

// countInstances returns how many instances of env are ready. It lists the pods only if
// the Deployment does not count all of them as ready.
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
