// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// Remove implements bluegreen.Workloads. It returns when every pod is being deleted. The
// pods end within their grace period.
func (p *Platform) Remove(ctx context.Context, env bluegreen.Environment) error {
	run, err := p.requireLock(ctx)
	if err != nil {
		return err
	}
	return p.remove(ctx, run, env)
}

func (p *Platform) remove(ctx context.Context, run *lockedRun, env bluegreen.Environment) error {
	snapshot, err := p.ensureSnapshot(ctx)
	if err != nil {
		return err
	}
	for _, w := range p.allWorkloads(snapshot.document, env) {
		if err := p.removeWorkload(ctx, run, informersFor(run.Session, w)); err != nil {
			return err
		}
	}
	return nil
}

// orphanTime is how long the cluster may take to begin deleting the pods of a Deployment
// that is gone.
const orphanTime = time.Minute

// removeWorkload deletes the Deployment, and waits until its pods are being deleted.
func (p *Platform) removeWorkload(ctx context.Context, run *lockedRun, informers *workloadInformers) error {
	if err := p.updateDeployment(ctx, informers, func(found *appsv1.Deployment) error {
		if found == nil {
			return nil
		}
		return p.deleteDeployment(ctx, run, found)
	}); err != nil {
		return err
	}
	isGone := func(now *appsv1.Deployment) bool { return now == nil }
	if err := informers.awaitDeployment(ctx, isGone); err != nil {
		return err
	}
	return p.awaitNoPods(ctx, run, informers)
}

// awaitNoPods returns when all pods of a Deployment that is gone are being deleted.
func (p *Platform) awaitNoPods(ctx context.Context, run *lockedRun, informers *workloadInformers) error {
	deadline := run.API().Now().Add(orphanTime)
	object := p.deploymentObject(informers.workload.deployment)
	var left []*corev1.Pod
	err := run.Await(ctx, func() (bool, time.Duration, error) {
		_, pods, err := informers.current()
		if err != nil {
			return false, 0, err
		}
		left = informers.workload.ownPods(pods)
		if len(left) == 0 {
			return true, 0, nil
		}
		if wait := deadline.Sub(run.API().Now()); wait > 0 {
			return false, wait, nil
		}
		return false, 0, &orphanError{object, podNames(left)}
	})
	if err != nil && ctx.Err() != nil && len(left) > 0 {
		return fmt.Errorf("%w while %s is gone and its pods are not being deleted yet (%s): delete them if they stay",
			err, object, strings.Join(podNames(left), ", "))
	}
	return err
}

// deleteDeployment deletes the Deployment unless it has changed since it was found.
func (p *Platform) deleteDeployment(ctx context.Context, run *lockedRun, found *appsv1.Deployment) error {
	api, err := run.Writer(ctx)
	if err != nil {
		return err
	}
	background := metav1.DeletePropagationBackground
	err = api.Deployments(p.opts.Namespace).Delete(ctx, found.Name, metav1.DeleteOptions{
		PropagationPolicy: &background,
		Preconditions:     &metav1.Preconditions{UID: &found.UID, ResourceVersion: &found.ResourceVersion},
	})
	if err != nil && !cluster.IsNotFound(err, "deployments", found.Name) {
		return fmt.Errorf("removing %s: %w", p.deploymentObject(found.Name), err)
	}
	return nil
}

func podNames(pods []*corev1.Pod) []string {
	var names []string
	for _, pod := range pods {
		names = append(names, pod.Name)
	}
	return names
}
