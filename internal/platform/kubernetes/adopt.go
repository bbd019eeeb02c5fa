// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// adoption is the workload that a deployment began with: somebody else's
// Deployment, which runs on as it is, as the release in blue.
type adoption struct {
	Deployment string             `json:"deployment"`
	Selector   map[string]string  `json:"selector"`
	Container  string             `json:"container"`
	Port       intstr.IntOrString `json:"port"`
	// Fingerprint is that of the release that stands for it.
	Fingerprint string `json:"fingerprint"`
}

// replaced reports whether blue, by what it holds, runs a release that was deployed
// there: what was adopted had been removed before.
func (a *adoption) replaced(blue bluegreen.Slot) bool {
	started := blue.State == bluegreen.Ready || blue.State == bluegreen.Live || blue.State == bluegreen.Idle
	return started && blue.Release != nil && !blue.HasRelease(a.Fingerprint)
}

func (a *adoption) workload() workload {
	return workload{bluegreen.Blue, a.Deployment, a.Selector, a.Container, a.Port}
}

// own are those of the pods that belong to the workload. The labels of one that
// was adopted may be those of other pods as well.
func (w workload) own(pods []*corev1.Pod) []*corev1.Pod {
	return slices.DeleteFunc(slices.Clone(pods), func(pod *corev1.Pod) bool {
		owner := metav1.GetControllerOf(pod)
		return owner != nil && owner.Name != w.deployment+"-"+pod.Labels[appsv1.DefaultDeploymentUniqueLabelKey]
	})
}

// place returns where env runs what the ledger says that it holds.
func (p *Platform) place(d document, env bluegreen.Environment) workload {
	if d.adopted != nil && env == bluegreen.Blue && d.ledger.Blue.HasRelease(d.adopted.Fingerprint) {
		return d.adopted.workload()
	}
	return p.opts.workload(env)
}

// workloads returns everywhere that something of env may run.
func (p *Platform) workloads(d document, env bluegreen.Environment) []workload {
	all := []workload{p.opts.workload(env)}
	if d.adopted != nil && env == bluegreen.Blue {
		all = append(all, d.adopted.workload())
	}
	return all
}

// AdoptionError is a Service that cannot be taken over.
type AdoptionError struct {
	// Object is "Service default/web".
	Object string
	Err    error
}

func (e *AdoptionError) Error() string {
	return fmt.Sprintf("%s cannot be adopted: %v", e.Object, e.Err)
}

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *AdoptionError) Unwrap() error { return e.Err }

// adopt makes of a Service that somebody else made what it would say if what it
// leads to were our release in blue. Nothing is written: the first commit does
// that, and not before is the Service ours.
func (p *Platform) adopt(ctx context.Context, a *api, service *corev1.Service) (known, error) {
	refuse := func(format string, args ...any) (known, error) {
		return known{}, &AdoptionError{p.serviceObject(), fmt.Errorf(format, args...)}
	}
	i := slices.IndexFunc(service.Spec.Ports, func(port corev1.ServicePort) bool { return int(port.Port) == p.clientPort() })
	if i < 0 {
		return refuse("it has no port %d: set service.port to one that it has", p.clientPort())
	}
	found, err := a.deployments(p.opts.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return refuse("listing Deployments: %w", err)
	}
	selected := selectedBy(service.Spec.Selector, found.Items)
	if len(selected) != 1 {
		return refuse("it selects the pods of %d Deployments (%s), and not of one", len(selected), strings.Join(selected.names(), ", "))
	}
	deployment := selected[0]
	if owner := deployment.Labels[labelDeployment]; owner != "" && owner != p.opts.Name {
		return refuse("its Deployment %s belongs to the deployment %q", deployment.Name, owner)
	}
	for _, env := range bluegreen.Environments() {
		if deployment.Name == workloadName(p.opts.Name, env) {
			// A release in env would take its place while it serves.
			return refuse("its Deployment has the name %s, which the %s environment needs: make one of another name, let the Service select its pods, and adopt that", deployment.Name, env)
		}
	}
	if sizeOf(deployment) < 1 {
		return refuse("its Deployment %s has no replicas", deployment.Name)
	}
	target := service.Spec.Ports[i].TargetPort
	container := serves(deployment.Spec.Template.Spec.Containers, target)
	baseline := baselineOf(deployment, container)
	adopted := &adoption{deployment.Name, service.Spec.Selector, container.Name, target, baseline.Seal().Fingerprint}
	pods, err := p.pods(ctx, adopted.workload())
	if err != nil {
		return known{}, err
	}
	var refs []bluegreen.InstanceRef
	for _, instance := range p.number(adopted.workload(), pods, nil) {
		refs = append(refs, instance.Ref())
	}
	ledger := bluegreen.NewAdoptedLedger(p.opts.Name, baseline, refs, a.clock.now(), fieldManager)
	// Nobody's Terraform state has it yet.
	ledger.Created = false
	return p.learn(known{service, document{ledger: ledger, adopted: adopted}, true}), nil
}

type deployments []*appsv1.Deployment

func (d deployments) names() []string {
	var names []string
	for _, deployment := range d {
		names = append(names, deployment.Name)
	}
	return names
}

func selectedBy(selector map[string]string, all []appsv1.Deployment) deployments {
	var selected deployments
	for i := range all {
		// A Service without a selector selects nothing, unlike one with an empty set.
		if len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(all[i].Spec.Template.Labels)) {
			selected = append(selected, &all[i])
		}
	}
	return selected
}

// serves returns the container that has the port, or the first where none says so.
func serves(containers []corev1.Container, target intstr.IntOrString) corev1.Container {
	for _, container := range containers {
		for _, port := range container.Ports {
			if port.Name == target.StrVal && port.Name != "" || int(port.ContainerPort) == target.IntValue() {
				return container
			}
		}
	}
	return containers[0]
}

// baselineOf is the release that stands for a Deployment which somebody else made.
func baselineOf(deployment *appsv1.Deployment, container corev1.Container) bluegreen.Release {
	return bluegreen.Release{
		Version: cmp.Or(deployment.Spec.Template.Labels[labelVersion], deployment.Labels[labelVersion], tagOf(container.Image), "adopted"),
		Image:   container.Image, Command: container.Command, Args: container.Args,
		Replicas: sizeOf(deployment),
		// Nothing that a configuration can say is the same release.
		Settings: adoptedFrom(deployment.Name),
	}
}

// adoptedFrom names the Deployment that a release was adopted from.
type adoptedFrom string

func (name adoptedFrom) Identity() string { return "adopted from Deployment " + string(name) }

// tagOf is the tag of an image reference, "" where it has none.
func tagOf(image string) string {
	image, _, _ = strings.Cut(image, "@")
	i := strings.LastIndex(image, ":")
	if i < strings.LastIndex(image, "/") {
		return ""
	}
	return image[i+1:]
}

// claim marks the adopted Deployment as ours, so that it is found and, in the
// end, removed. Its pods are not touched.
func (p *Platform) claim(ctx context.Context, s *session, adopted *adoption) error {
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q,%q:%q}}}`, labelDeployment, p.opts.Name, labelEnvironment, bluegreen.Blue)
	api, err := s.writer(ctx)
	if err != nil {
		return err
	}
	_, err = api.deployments(p.opts.Namespace).Patch(ctx, adopted.Deployment, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("taking over %s: %w", objectName("Deployment", p.opts.Namespace, adopted.Deployment), err)
	}
	return nil
}
