// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// Scale implements bluegreen.Workloads. If an environment gets smaller, the pods that
// never got traffic are removed first, and then those with the highest numbers.
func (p *Platform) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	run, err := p.requireLock(ctx)
	if err != nil {
		return err
	}
	snapshot, err := p.ensureSnapshot(ctx)
	if err != nil {
		return err
	}
	informers := informersFor(run.Session, p.workloadOf(snapshot.document, env))
	slot := snapshot.ledger.Slot(env)
	rollout := &rollout{opts: p.opts, informers: informers, replicas: replicas}
	if err := p.updateDeployment(ctx, informers, func(found *appsv1.Deployment) error {
		if found == nil {
			return fmt.Errorf("%s: %w", env, bluegreen.ErrNotProvisioned)
		}
		if err := p.markSurplusPods(ctx, run, informers, slot, replicas); err != nil {
			return err
		}
		written, err := p.writeSize(ctx, run, informers.workload, found, slot, replicas)
		if err != nil {
			return fmt.Errorf("scaling %s: %w", p.deploymentObject(found.Name), err)
		}
		rollout.generation, rollout.hasExisted = written.Generation, true
		return nil
	}); err != nil {
		return err
	}
	if slot.Release != nil {
		rollout.release, rollout.isAutoscaled = slot.Release, slot.Release.Autoscaled
		rollout.known = slot.Passed
	}
	if slot.State == bluegreen.Idle {
		return p.withLogs(ctx, run, awaitStandby(ctx, rollout))
	}
	// It does not wait until the pods are ready, because the engine checks their health.
	return p.withLogs(ctx, run, rollout.await(ctx))
}

// standbyTime is how long a standby may take to be complete. Then the apply goes on with
// live.
const standbyTime = 30 * time.Second

// awaitStandby waits until the pods of a standby are ready, because no health check does.
// If they are not ready in time, it returns nil, and the status does not count them.
func awaitStandby(ctx context.Context, rollout *rollout) error {
	limited, cancel := context.WithTimeout(ctx, standbyTime)
	defer cancel()
	if err := rollout.await(limited); err != nil {
		return err
	}
	err := rollout.informers.session.Await(limited, func() (bool, time.Duration, error) {
		_, pods, err := rollout.informers.current()
		isReady := err == nil && !slices.ContainsFunc(pods, isNotReady)
		return isReady, 0, err
	})
	if ctx.Err() == nil && limited.Err() != nil {
		return nil
	}
	return err
}

// writeSize sets the number of replicas of the Deployment. The cluster refuses the write
// if the Deployment has changed since it was found.
func (p *Platform) writeSize(
	ctx context.Context, run *lockedRun, w workload, found *appsv1.Deployment, slot bluegreen.Slot, replicas int,
) (*appsv1.Deployment, error) {
	patch, err := json.Marshal(sizePatch(w, found, slot, replicas))
	if err != nil {
		return nil, err
	}
	api, err := run.Writer(ctx)
	if err != nil {
		return nil, err
	}
	return api.Deployments(p.opts.Namespace).Patch(ctx, found.Name, types.StrategicMergePatchType, patch,
		metav1.PatchOptions{FieldManager: cluster.FieldManager})
}

// sizePatch returns the patch that sets the number of replicas. If another image was set
// by hand, the patch also sets the image of the slot's release.
func sizePatch(w workload, found *appsv1.Deployment, slot bluegreen.Slot, replicas int) map[string]any {
	spec := map[string]any{"replicas": replicas, "paused": false}
	container := findContainer(&found.Spec.Template, w.container)
	if slot.Release != nil && (container == nil || !isImageOf(container.Image, *slot.Release)) {
		spec["template"] = imagePatch(w.container, imageToPull(container, *slot.Release))
	}
	return map[string]any{"metadata": map[string]any{"resourceVersion": found.ResourceVersion}, "spec": spec}
}

// imagePatch returns the patch that sets the image of a container in a pod template.
func imagePatch(container, image string) map[string]any {
	return map[string]any{"spec": map[string]any{
		"containers": []any{map[string]any{"name": container, "image": image}},
	}}
}

// markSurplusPods marks the pods that the cluster is to remove if the environment gets
// smaller.
func (p *Platform) markSurplusPods(
	ctx context.Context, run *lockedRun, informers *workloadInformers, slot bluegreen.Slot, replicas int,
) error {
	var pods []*corev1.Pod
	if err := run.Await(ctx, func() (done bool, again time.Duration, err error) {
		pods, err = informers.pods.Items()
		return err == nil, 0, err
	}); err != nil {
		return err
	}
	instances := p.numberPods(informers.workload, pods, slot.Passed)
	if len(instances) <= replicas {
		return nil
	}
	slices.SortStableFunc(instances, func(a, b bluegreen.Instance) int {
		return trafficRank(slot, b) - trafficRank(slot, a)
	})
	// The ReplicaSet's controller removes the pods with the lowest cost first.
	const lowCost = `{"metadata":{"annotations":{"` + corev1.PodDeletionCost + `":"-1"}}}`
	for _, instance := range instances[replicas:] {
		uid, _ := parseIncarnation(instance.Incarnation)
		name := p.numberedPod(uid).Name
		api, err := run.Writer(ctx)
		if err != nil {
			return err
		}
		if _, err := api.Pods(p.opts.Namespace).Patch(ctx, name, types.MergePatchType, []byte(lowCost),
			metav1.PatchOptions{FieldManager: cluster.FieldManager}); err != nil {
			return fmt.Errorf("marking pod %s: %w", name, err)
		}
	}
	return nil
}

// trafficRank returns 1 for an instance that has been given traffic, and 0 for any other.
func trafficRank(slot bluegreen.Slot, instance bluegreen.Instance) int {
	if instance.Running && slices.Contains(slot.Passed, instance.Ref()) {
		return 1
	}
	return 0
}
