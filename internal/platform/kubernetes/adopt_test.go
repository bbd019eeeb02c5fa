// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// unmanagedLabels are those that Helm charts give their pods.
func unmanagedLabels(name string) map[string]string {
	return map[string]string{labelName: name, labelInstance: name}
}

func unmanagedService(name string, port int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"team": "shop"}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Selector: unmanagedLabels(name),
			Ports: []corev1.ServicePort{{Port: port, TargetPort: intstr.FromInt(replicaPort)}},
		},
	}
}

// unmanagedDeployment is called "NAME-SUFFIX" or "NAME", and its pods answer "legacy".
func unmanagedDeployment(name, image string, replicas int32) *appsv1.Deployment {
	pods := unmanagedLabels(strings.TrimSuffix(name, "-legacy"))
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: pods},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(pods)},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "app", Image: image,
					Env: []corev1.EnvVar{
						{Name: "PORT", Value: "8000"}, {Name: "BLUEGREEN_VERSION", Value: "legacy"},
					},
					ReadinessProbe: tcpReadinessProbe(replicaPort),
				}}},
			},
		},
	}
}

// createUnmanagedWorkload creates a Service and a Deployment that serve, as another tool
// would.
func (h *harness) createUnmanagedWorkload(replicas int32) {
	h.Helper()
	service := unmanagedService(h.Deployment, 80)
	_, err := h.api.Services(h.Namespace).Create(h.Context(), service, metav1.CreateOptions{})
	h.must(err)
	deployment := unmanagedDeployment(h.Deployment+"-legacy", h.Image(h), replicas)
	_, err = h.api.Deployments(h.Namespace).Create(h.Context(), deployment, metav1.CreateOptions{})
	h.must(err)
	session := h.session()
	pods, endpointSlices := session.Pods(unmanagedLabels(h.Deployment)), session.EndpointSlices(h.Deployment)
	h.must(session.Await(h.Context(), func() (bool, time.Duration, error) {
		found, err := endpointSlices.Items()
		if err != nil {
			return false, 0, err
		}
		selected, err := pods.Items()
		areReady := len(selected) == int(replicas) && !slices.ContainsFunc(selected, isNotReady)
		return err == nil && areReady && endpointMismatch(found, selected) == "", 0, err
	}))
}

// A Deployment that serves already becomes blue. Clients do not notice, and a rollback
// goes back to it.
func TestClusterAdoption(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(o *Options) { o.Adopt, o.Service.Port, o.RecycleStandby = true, 80, true })
	h.createUnmanagedWorkload(2)
	clients := startClients(t, h.clusterAddress(), 3, 3)
	clients.awaitAnswer("legacy")
	former := h.instances(bluegreen.Blue)

	_, err := h.Create(t.Context(), h.desired("2.0.0", 2))
	h.must(err)
	clients.awaitAnswer("2.0.0")
	ledger, err := h.platform.Load(t.Context())
	h.must(err)
	target, canRollBack := ledger.RollbackTarget()
	if !canRollBack || target.Operation != bluegreen.OpAdopt || ledger.Live != bluegreen.Green {
		t.Errorf("what was adopted cannot be rolled back to: %+v", ledger)
	}
	if len(former) != 2 {
		t.Errorf("adopted were %v, want 2 instances", former)
	}
	status, err := h.Status(t.Context())
	h.must(err)
	if !status.CanRollBack(100) {
		t.Errorf("the status is %+v", status.Running)
	}
	h.requireEvents("Adopted")
	h.must(h.Rollback(t.Context(), "to see"))
	clients.awaitAnswer("legacy")
	service, err := h.api.Services(h.Namespace).Get(t.Context(), h.Deployment, metav1.GetOptions{})
	h.must(err)
	if service.Annotations["team"] != "shop" || service.Spec.Type != corev1.ServiceTypeNodePort {
		t.Errorf("the fields of others in the Service are gone: %+v", service)
	}
	// The next release replaces the one that was rolled back. The release after it
	// replaces the adopted Deployment.
	h.makeLive("3.0.0", 2)
	h.makeLive("4.0.0", 2)
	clients.awaitAnswer("4.0.0")
	clients.requireNoFailures()

	// Its owner creates the Deployment again: it is not ours any more.
	deployments := h.api.Deployments(h.Namespace)
	unmanaged := unmanagedDeployment(h.Deployment+"-legacy", h.Image(h), 0)
	again, err := deployments.Create(t.Context(), unmanaged, metav1.CreateOptions{})
	h.must(err)
	h.makeLive("5.0.0", 1)
	h.makeLive("6.0.0", 1)
	defer func() {
		left, err := deployments.Get(t.Context(), again.Name, metav1.GetOptions{})
		h.must(err)
		if left.UID != again.UID || len(left.Labels) > 0 {
			t.Errorf("the adopted Deployment was changed: %+v", left.ObjectMeta)
		}
		h.must(deployments.Delete(t.Context(), again.Name, metav1.DeleteOptions{}))
	}()
	h.must(h.Destroy(context.WithoutCancel(t.Context())))
	h.requireNothingLeft()
}

func TestClusterAdoptionNeedsOneDeployment(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(o *Options) { o.Adopt, o.Service.Port = true, 80 })
	services := h.api.Services(h.Namespace)
	_, err := services.Create(t.Context(), unmanagedService(h.Deployment, 80), metav1.CreateOptions{})
	h.must(err)
	requireRefused := func(reason string) {
		t.Helper()
		var refused *adoptionError
		_, err := h.Create(t.Context(), h.desired("1.0.0", 1))
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), reason) {
			t.Errorf("got %v, want %s", err, reason)
		}
	}
	requireRefused("selects those of none")
	owned := unmanagedDeployment(h.Deployment+"-legacy", h.Image(t), 0)
	owned.Labels = map[string]string{labelDeployment: "another"}
	deployments := h.api.Deployments(h.Namespace)
	_, err = deployments.Create(t.Context(), owned, metav1.CreateOptions{})
	h.must(err)
	requireRefused(`belongs to the deployment "another"`)
	h.must(deployments.Delete(t.Context(), owned.Name, metav1.DeleteOptions{}))
	for _, env := range bluegreen.Environments() {
		// The Deployment that serves has the name that a release needs. The release would
		// replace it.
		owned.Name, owned.Labels = workloadName(h.Deployment, env), nil
		before, err := deployments.Create(t.Context(), owned, metav1.CreateOptions{})
		h.must(err)
		requireRefused("which the " + env.String() + " environment needs")
		after, err := deployments.Get(t.Context(), owned.Name, metav1.GetOptions{})
		h.must(err)
		if after.UID != before.UID || len(after.Labels) > 0 {
			t.Errorf("%s was changed: %+v", owned.Name, after.ObjectMeta)
		}
		h.must(deployments.Delete(t.Context(), owned.Name, metav1.DeleteOptions{}))
	}
	h.must(services.Delete(t.Context(), h.Deployment, metav1.DeleteOptions{}))
	_, err = services.Create(t.Context(), unmanagedService(h.Deployment, 8080), metav1.CreateOptions{})
	h.must(err)
	requireRefused("it has no port 80")
	h.must(services.Delete(t.Context(), h.Deployment, metav1.DeleteOptions{}))
}
