// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"context"
	"errors"
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
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// adoption is the workload that was adopted: a Deployment that another tool created. It
// runs on unchanged as the release in blue.
type adoption struct {
	Deployment string             `json:"deployment"`
	Selector   map[string]string  `json:"selector"`
	Container  string             `json:"container"`
	Port       intstr.IntOrString `json:"port"`
	// Fingerprint is the fingerprint of the release that the ledger has for the workload.
	Fingerprint string `json:"fingerprint"`
}

// isReplaced reports whether the pods of a later release have been started in blue. The
// adopted workload was removed before that.
func (a *adoption) isReplaced(blue bluegreen.Slot) bool {
	hasStarted := blue.State == bluegreen.Ready || blue.State == bluegreen.Live || blue.State == bluegreen.Idle
	return hasStarted && blue.Release != nil && !blue.HasFingerprint(a.Fingerprint)
}

func (a *adoption) workload() workload {
	return workload{bluegreen.Blue, a.Deployment, a.Selector, a.Container, a.Port}
}

// adoptionError reports a Service that cannot be adopted.
type adoptionError struct {
	// Object names the Service, such as "Service default/web".
	Object string
	Err    error
}

func (e *adoptionError) Error() string {
	return fmt.Sprintf("%s cannot be adopted and was not changed: %v", e.Object, e.Err)
}

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *adoptionError) Unwrap() error { return e.Err }

// adopt returns the snapshot of an unmanaged Service as if the Deployment behind it ran a
// release in blue. It writes nothing. The first commit writes the ledger to the Service,
// and from then on this provider manages the Service.
func (p *Platform) adopt(ctx context.Context, api *cluster.API, service *corev1.Service) (serviceSnapshot, error) {
	adopted, baseline, err := p.findAdoptable(ctx, api, service)
	if err != nil {
		return serviceSnapshot{}, &adoptionError{p.serviceObject(), err}
	}
	pods, err := p.pods(ctx, adopted.workload())
	if err != nil {
		return serviceSnapshot{}, err
	}
	var refs []bluegreen.InstanceRef
	for _, instance := range p.numberPods(adopted.workload(), pods, nil) {
		refs = append(refs, instance.Ref())
	}
	ledger := bluegreen.NewAdoptedLedger(p.opts.Name, baseline, refs, api.Now(), cluster.FieldManager)
	// The deployment is in no Terraform state yet.
	ledger.Created = false
	return p.remember(serviceSnapshot{
		service: service, document: document{ledger: ledger, adopted: adopted}, isLoaded: true,
	}), nil
}

// findAdoptable returns the workload behind a Service, and the release that the ledger
// records for it. The error says why the Service cannot be adopted.
func (p *Platform) findAdoptable(
	ctx context.Context, api *cluster.API, service *corev1.Service,
) (*adoption, bluegreen.Release, error) {
	none := bluegreen.Release{}
	i := slices.IndexFunc(service.Spec.Ports, func(port corev1.ServicePort) bool {
		return int(port.Port) == p.clientPort()
	})
	if i < 0 {
		return nil, none, fmt.Errorf("it has no port %d: set service.port to one that it has", p.clientPort())
	}
	found, err := api.Deployments(p.opts.Namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, none, fmt.Errorf("listing Deployments: %w", err)
	}
	selected := selectDeployments(service.Spec.Selector, found.Items)
	if len(selected) == 0 {
		return nil, none, errors.New("its selector must select the pods of one Deployment, and selects those of none")
	}
	if len(selected) > 1 {
		return nil, none, fmt.Errorf("its selector must select the pods of one Deployment, and selects those of %d: %s",
			len(selected), strings.Join(deploymentNames(selected), ", "))
	}
	deployment := selected[0]
	if err := p.checkAdoptable(deployment); err != nil {
		return nil, none, err
	}
	target := service.Spec.Ports[i].TargetPort
	container := findServingContainer(deployment.Spec.Template.Spec.Containers, target)
	baseline := adoptedRelease(deployment, container)
	fingerprint := baseline.Seal("").Fingerprint
	return &adoption{deployment.Name, service.Spec.Selector, container.Name, target, fingerprint}, baseline, nil
}

// checkAdoptable returns an error if the Deployment cannot be adopted.
func (p *Platform) checkAdoptable(deployment *appsv1.Deployment) error {
	if owner := deployment.Labels[labelDeployment]; owner != "" && owner != p.opts.Name {
		return fmt.Errorf("its Deployment %s belongs to the deployment %q", deployment.Name, owner)
	}
	for _, env := range bluegreen.Environments() {
		if deployment.Name == workloadName(p.opts.Name, env) {
			// A release in env gets this name. It would replace the Deployment while that
			// serves.
			return fmt.Errorf("its Deployment has the name %s, which the %s environment needs: "+
				"create a Deployment of another name, let the Service select its pods, and adopt that",
				deployment.Name, env)
		}
	}
	if desiredReplicas(deployment) < 1 {
		return fmt.Errorf("its Deployment %s has no replicas: scale it to at least one first", deployment.Name)
	}
	return nil
}

func deploymentNames(deployments []*appsv1.Deployment) []string {
	var names []string
	for _, deployment := range deployments {
		names = append(names, deployment.Name)
	}
	return names
}

// selectDeployments returns the Deployments whose pods the selector of a Service selects.
func selectDeployments(selector map[string]string, all []appsv1.Deployment) []*appsv1.Deployment {
	var selected []*appsv1.Deployment
	for i := range all {
		// A Service without a selector selects nothing, unlike an empty label selector.
		if len(selector) > 0 && labels.SelectorFromSet(selector).Matches(labels.Set(all[i].Spec.Template.Labels)) {
			selected = append(selected, &all[i])
		}
	}
	return selected
}

// findServingContainer returns the container that declares the port, or the first one if
// none does.
func findServingContainer(containers []corev1.Container, target intstr.IntOrString) corev1.Container {
	for _, container := range containers {
		for _, port := range container.Ports {
			if port.Name == target.StrVal && port.Name != "" || int(port.ContainerPort) == target.IntValue() {
				return container
			}
		}
	}
	return containers[0]
}

// adoptedRelease returns the release that the ledger records for an adopted Deployment.
func adoptedRelease(deployment *appsv1.Deployment, container corev1.Container) bluegreen.Release {
	podVersion, version := deployment.Spec.Template.Labels[labelVersion], deployment.Labels[labelVersion]
	return bluegreen.Release{
		Version: cmp.Or(podVersion, version, imageTag(container.Image), "adopted"),
		Image:   container.Image, Command: container.Command, Args: container.Args,
		Replicas: desiredReplicas(deployment),
		// No configured release has such settings, so that none is taken for this one.
		Settings: adoptedFrom(deployment.Name),
	}
}

// adoptedFrom is the name of the Deployment that a release was adopted from.
type adoptedFrom string

// Identity implements bluegreen.Settings.
func (name adoptedFrom) Identity() string { return "adopted from Deployment " + string(name) }

// imageTag returns the tag of an image reference, or "" if it has none.
func imageTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	i := strings.LastIndex(image, ":")
	if i < strings.LastIndex(image, "/") {
		return ""
	}
	return image[i+1:]
}

// labelAdopted gives the adopted Deployment the labels of this deployment. The provider
// finds it by these labels, and removes it in the end. The pods do not change.
func (p *Platform) labelAdopted(ctx context.Context, run *lockedRun, adopted *adoption) error {
	patch := fmt.Sprintf(`{"metadata":{"labels":{%q:%q,%q:%q}}}`,
		labelDeployment, p.opts.Name, labelEnvironment, bluegreen.Blue)
	api, err := run.Writer(ctx)
	if err != nil {
		return err
	}
	_, err = api.Deployments(p.opts.Namespace).Patch(ctx, adopted.Deployment, types.MergePatchType, []byte(patch),
		metav1.PatchOptions{FieldManager: cluster.FieldManager})
	if err != nil {
		return fmt.Errorf("labelling %s: %w", p.deploymentObject(adopted.Deployment), err)
	}
	return nil
}
