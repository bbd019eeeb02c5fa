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

// createUnmanagedWorkload creates a Service and a Deployment that serve, as somebody
// else would.
func (s *harness) createUnmanagedWorkload(replicas int32) {
	s.Helper()
	service := unmanagedService(s.Deployment, 80)
	_, err := s.api.Services(s.Namespace).Create(s.Context(), service, metav1.CreateOptions{})
	s.must(err)
	deployment := unmanagedDeployment(s.Deployment+"-legacy", s.Image(s), replicas)
	_, err = s.api.Deployments(s.Namespace).Create(s.Context(), deployment, metav1.CreateOptions{})
	s.must(err)
	session := s.session()
	pods, endpointSlices := session.Pods(unmanagedLabels(s.Deployment)), session.EndpointSlices(s.Deployment)
	s.must(session.Await(s.Context(), func() (bool, time.Duration, error) {
		found, err := endpointSlices.Items()
		if err != nil {
			return false, 0, err
		}
		selected, err := pods.Items()
		areReady := len(selected) == int(replicas) && !slices.ContainsFunc(selected, isNotReady)
		return err == nil && areReady && endpointMismatch(found, selected) == "", 0, err
	}))
}

// What serves already becomes blue without anybody noticing, and a rollback goes back
// to it.
func TestClusterAdoption(t *testing.T) {
	t.Parallel()
	s := newHarness(t, func(o *Options) { o.Adopt, o.Service.Port, o.RecycleStandby = true, 80, true })
	s.createUnmanagedWorkload(2)
	clients := startClients(t, s.clusterAddress(), 3, 3)
	clients.awaitAnswer("legacy")
	former := s.instances(bluegreen.Blue)

	_, err := s.Create(t.Context(), s.desired("2.0.0", 2))
	s.must(err)
	clients.awaitAnswer("2.0.0")
	ledger, err := s.platform.Load(t.Context())
	s.must(err)
	target, canRollBack := ledger.RollbackTarget()
	if !canRollBack || target.Operation != bluegreen.OpAdopt || ledger.Live != bluegreen.Green {
		t.Errorf("what was adopted is no rollback target: %+v", ledger)
	}
	if len(former) != 2 {
		t.Errorf("adopted were %v, want 2 instances", former)
	}
	status, err := s.Status(t.Context())
	s.must(err)
	if !status.CanRollBack(100) {
		t.Errorf("the status is %+v", status.Running)
	}
	s.requireEvents("Adopted")
	s.must(s.Rollback(t.Context(), "to see"))
	clients.awaitAnswer("legacy")
	service, err := s.api.Services(s.Namespace).Get(t.Context(), s.Deployment, metav1.GetOptions{})
	s.must(err)
	if service.Annotations["team"] != "shop" || service.Spec.Type != corev1.ServiceTypeNodePort {
		t.Errorf("the fields of others in the Service are gone: %+v", service)
	}
	// The next release replaces what was rolled back, the one after it what was adopted.
	s.makeLive("3.0.0", 2)
	s.makeLive("4.0.0", 2)
	clients.awaitAnswer("4.0.0")
	clients.requireNoFailures()

	// Its owner creates the Deployment again: it is not ours any more.
	deployments := s.api.Deployments(s.Namespace)
	unmanaged := unmanagedDeployment(s.Deployment+"-legacy", s.Image(s), 0)
	again, err := deployments.Create(t.Context(), unmanaged, metav1.CreateOptions{})
	s.must(err)
	s.makeLive("5.0.0", 1)
	s.makeLive("6.0.0", 1)
	defer func() {
		left, err := deployments.Get(t.Context(), again.Name, metav1.GetOptions{})
		s.must(err)
		if left.UID != again.UID || len(left.Labels) > 0 {
			t.Errorf("the Deployment of somebody else was changed: %+v", left.ObjectMeta)
		}
		s.must(deployments.Delete(t.Context(), again.Name, metav1.DeleteOptions{}))
	}()
	s.must(s.Destroy(context.WithoutCancel(t.Context())))
	s.requireNothingLeft()
}

func TestClusterAdoptionNeedsOneDeployment(t *testing.T) {
	t.Parallel()
	s := newHarness(t, func(o *Options) { o.Adopt, o.Service.Port = true, 80 })
	services := s.api.Services(s.Namespace)
	_, err := services.Create(t.Context(), unmanagedService(s.Deployment, 80), metav1.CreateOptions{})
	s.must(err)
	requireRefused := func(reason string) {
		t.Helper()
		var refused *AdoptionError
		_, err := s.Create(t.Context(), s.desired("1.0.0", 1))
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), reason) {
			t.Errorf("got %v, want %s", err, reason)
		}
	}
	requireRefused("the pods of 0 Deployments")
	owned := unmanagedDeployment(s.Deployment+"-legacy", s.Image(t), 0)
	owned.Labels = map[string]string{labelDeployment: "another"}
	deployments := s.api.Deployments(s.Namespace)
	_, err = deployments.Create(t.Context(), owned, metav1.CreateOptions{})
	s.must(err)
	requireRefused(`belongs to the deployment "another"`)
	s.must(deployments.Delete(t.Context(), owned.Name, metav1.DeleteOptions{}))
	for _, env := range bluegreen.Environments() {
		// What serves has the name that a release needs, which would replace it.
		owned.Name, owned.Labels = workloadName(s.Deployment, env), nil
		before, err := deployments.Create(t.Context(), owned, metav1.CreateOptions{})
		s.must(err)
		requireRefused("which the " + env.String() + " environment needs")
		after, err := deployments.Get(t.Context(), owned.Name, metav1.GetOptions{})
		s.must(err)
		if after.UID != before.UID || len(after.Labels) > 0 {
			t.Errorf("%s was changed: %+v", owned.Name, after.ObjectMeta)
		}
		s.must(deployments.Delete(t.Context(), owned.Name, metav1.DeleteOptions{}))
	}
	s.must(services.Delete(t.Context(), s.Deployment, metav1.DeleteOptions{}))
	_, err = services.Create(t.Context(), unmanagedService(s.Deployment, 8080), metav1.CreateOptions{})
	s.must(err)
	requireRefused("it has no port 80")
	s.must(services.Delete(t.Context(), s.Deployment, metav1.DeleteOptions{}))
}
