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
)

// Scale implements bluegreen.Workloads. The pods with the highest numbers go,
// those first that traffic was never let to.
func (p *Platform) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	s, err := p.changing(ctx)
	if err != nil {
		return err
	}
	k, err := p.recall(ctx)
	if err != nil {
		return err
	}
	seen := s.watch(p.place(k.document, env))
	slot := k.ledger.Slot(env)
	waiting := &rollout{session: s, sight: seen, replicas: replicas}
	if err := p.withOurs(ctx, s, seen, func(found *appsv1.Deployment) error {
		if found == nil {
			return fmt.Errorf("%s: %w", env, bluegreen.ErrNotProvisioned)
		}
		if err := p.chooseWhoGoes(ctx, s, seen, slot, replicas); err != nil {
			return err
		}
		written, err := p.resize(ctx, s, seen.workload, found, slot, replicas)
		if err != nil {
			return fmt.Errorf("scaling %s: %w", objectName("Deployment", p.opts.Namespace, found.Name), err)
		}
		waiting.generation, waiting.seen = written.Generation, true
		return nil
	}); err != nil {
		return err
	}
	if slot.Release != nil {
		waiting.image, waiting.autoscaled = slot.Release.Image, slot.Release.Autoscaled
	}
	if slot.State != bluegreen.Idle {
		// They get traffic once the engine has proven them healthy.
		return p.withLogs(ctx, s, waiting.await(ctx))
	}
	return p.withLogs(ctx, s, standBy(ctx, waiting))
}

// standbyTime is how long a standby may take to be whole again, which live does
// not wait for any longer.
const standbyTime = 30 * time.Second

// standBy waits for the pods of a standby, and gives them, which nobody checks,
// the time to become ready. If they do not, the status tells.
func standBy(ctx context.Context, waiting *rollout) error {
	bounded, cancel := context.WithTimeout(ctx, standbyTime)
	defer cancel()
	if err := waiting.await(bounded); err != nil {
		return err
	}
	err := waiting.session.bell.await(bounded, func() (bool, time.Duration, error) {
		_, pods, err := waiting.sight.now()
		up := err == nil && !slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return notReady(pod) != nil })
		return up, 0, err
	})
	if ctx.Err() == nil && bounded.Err() != nil {
		return nil
	}
	return err
}

// resize gives the Deployment its size. The cluster refuses that unless it is as
// it was found.
func (p *Platform) resize(ctx context.Context, s *session, w workload, found *appsv1.Deployment, slot bluegreen.Slot, replicas int) (*appsv1.Deployment, error) {
	patch, err := json.Marshal(resized(w, found, slot, replicas))
	if err != nil {
		return nil, err
	}
	api, err := s.writer(ctx)
	if err != nil {
		return nil, err
	}
	return api.deployments(p.opts.Namespace).Patch(ctx, found.Name, types.StrategicMergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
}

// resized is a patch that gives a Deployment its size, and the image of the
// release that the ledger says is there: somebody may have set another.
func resized(w workload, found *appsv1.Deployment, slot bluegreen.Slot, replicas int) map[string]any {
	spec := map[string]any{"replicas": replicas, "paused": false}
	if slot.Release != nil {
		spec["template"] = map[string]any{"spec": map[string]any{
			"containers": []any{map[string]any{"name": w.container, "image": slot.Release.Image}},
		}}
	}
	return map[string]any{"metadata": map[string]any{"resourceVersion": found.ResourceVersion}, "spec": spec}
}

// chooseWhoGoes marks the pods that are to go when the environment gets smaller.
func (p *Platform) chooseWhoGoes(ctx context.Context, s *session, seen *sight, slot bluegreen.Slot, replicas int) error {
	var pods []*corev1.Pod
	if err := s.bell.await(ctx, func() (done bool, again time.Duration, err error) {
		pods, err = seen.pods.current()
		return err == nil, 0, err
	}); err != nil {
		return err
	}
	instances := p.number(seen.workload, pods, slot.Passed)
	if len(instances) <= replicas {
		return nil
	}
	slices.SortStableFunc(instances, func(a, b bluegreen.Instance) int {
		return admitted(slot, b) - admitted(slot, a)
	})
	// The ReplicaSet's controller takes those of the lowest cost first.
	const last = `{"metadata":{"annotations":{"` + corev1.PodDeletionCost + `":"-1"}}}`
	for _, instance := range instances[replicas:] {
		uid, _ := runOf(instance.Incarnation)
		name := p.seen(uid).Name
		api, err := s.writer(ctx)
		if err != nil {
			return err
		}
		if _, err := api.pods(p.opts.Namespace).Patch(ctx, name, types.MergePatchType, []byte(last), metav1.PatchOptions{FieldManager: fieldManager}); err != nil {
			return fmt.Errorf("marking pod %s: %w", name, err)
		}
	}
	return nil
}

// admitted is 1 for an instance that traffic was let to.
func admitted(slot bluegreen.Slot, instance bluegreen.Instance) int {
	if instance.Running && slices.Contains(slot.Passed, instance.Ref()) {
		return 1
	}
	return 0
}
