// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// workload is what runs a release in an environment: a Deployment and its pods.
type workload struct {
	environment bluegreen.Environment
	// deployment is the Deployment's name.
	deployment string
	// selector is the labels that select its pods.
	selector map[string]string
	// container is the name of the container that runs the release. port is its port for
	// clients. The port is a name, so that each release can listen on another one. In an
	// adopted workload it may be a number.
	container string
	port      intstr.IntOrString
}

// managedWorkload returns the workload of env that this provider creates. An adopted
// workload is another one.
func (o Options) managedWorkload(env bluegreen.Environment) workload {
	labels := podLabels(o.Name, env.String())
	return workload{env, workloadName(o.Name, env), labels, o.Name, intstr.FromString(portName)}
}

// workloadOf returns the workload that runs the release of env in the ledger.
func (p *Platform) workloadOf(d document, env bluegreen.Environment) workload {
	if d.adopted != nil && env == bluegreen.Blue && d.ledger.Blue.HasFingerprint(d.adopted.Fingerprint) {
		return d.adopted.workload()
	}
	return p.opts.managedWorkload(env)
}

// allWorkloads returns every workload that env may have.
func (p *Platform) allWorkloads(d document, env bluegreen.Environment) []workload {
	all := []workload{p.opts.managedWorkload(env)}
	if d.adopted != nil && env == bluegreen.Blue {
		all = append(all, d.adopted.workload())
	}
	return all
}

// ownPods returns the pods without those of other controllers. The selector of an adopted
// workload may match such pods as well.
func (w workload) ownPods(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool {
		owner := metav1.GetControllerOf(pod)
		return owner != nil && owner.Name != w.deployment+"-"+pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	})
}

// workloadInformers are the informers for a workload.
type workloadInformers struct {
	workload    workload
	session     *cluster.Session
	deployments *cluster.Informer[*appsv1.Deployment]
	pods        *cluster.Informer[*corev1.Pod]
}

// informersFor returns the session's informers for w. It starts them if they do not run.
func informersFor(s *cluster.Session, w workload) *workloadInformers {
	return &workloadInformers{w, s, s.Deployment(w.deployment), s.Pods(w.selector)}
}

// deployment returns the Deployment, or nil if there is none.
func (i *workloadInformers) deployment() (*appsv1.Deployment, error) {
	found, err := i.deployments.Items()
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found[0], nil
}

// current returns the Deployment, or nil if there is none, and the active pods.
func (i *workloadInformers) current() (*appsv1.Deployment, []*corev1.Pod, error) {
	deployment, err := i.deployment()
	if err != nil {
		return nil, nil, err
	}
	pods, err := i.pods.Items()
	return deployment, activePods(pods), err
}

// hasTerminatingPods reports whether any pod is being deleted.
func (i *workloadInformers) hasTerminatingPods() bool {
	pods, err := i.pods.Items()
	return err == nil && slices.ContainsFunc(pods, func(pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil })
}

// listDeployments returns the Deployments of this deployment.
func (p *Platform) listDeployments(ctx context.Context, api *cluster.API) ([]appsv1.Deployment, error) {
	ours := cluster.WithLabels(map[string]string{labelDeployment: p.opts.Name})
	found, err := api.Deployments(p.opts.Namespace).List(ctx, ours)
	if err != nil {
		return nil, fmt.Errorf("listing the Deployments of %s: %w", p.serviceObject(), err)
	}
	return found.Items, nil
}

// findDeployment returns the Deployment of this name, or nil if there is none.
func findDeployment(deployments []appsv1.Deployment, name string) *appsv1.Deployment {
	i := slices.IndexFunc(deployments, func(d appsv1.Deployment) bool { return d.Name == name })
	if i < 0 {
		return nil
	}
	return &deployments[i]
}

// desiredReplicas returns how many pods a Deployment should have.
func desiredReplicas(d *appsv1.Deployment) int {
	if d.Spec.Replicas == nil {
		return 0
	}
	return int(*d.Spec.Replicas)
}
