// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// foreignLabels are those that charts give their pods.
func foreignLabels(name string) map[string]string {
	return map[string]string{labelName: name, labelInstance: name}
}

func foreignService(name string, port int32) *corev1.Service {
	return &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"team": "shop"}},
		Spec: corev1.ServiceSpec{
			Type: corev1.ServiceTypeNodePort, Selector: foreignLabels(name),
			Ports: []corev1.ServicePort{{Port: port, TargetPort: intstr.FromInt(replicaPort)}},
		},
	}
}

// foreignDeployment is called "NAME-SUFFIX" or "NAME", and its pods answer "legacy".
func foreignDeployment(name, image string, replicas int32) *appsv1.Deployment {
	pods := foreignLabels(strings.TrimSuffix(name, "-legacy"))
	return &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: pods},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: maps.Clone(pods)},
				Spec: corev1.PodSpec{Containers: []corev1.Container{{
					Name: "app", Image: image,
					Env:            []corev1.EnvVar{{Name: "PORT", Value: "8000"}, {Name: "BLUEGREEN_VERSION", Value: "legacy"}},
					ReadinessProbe: accepting(replicaPort),
				}}},
			},
		},
	}
}

// begin makes a Service and a Deployment that serve, as somebody else did it.
func (s *shop) begin(replicas int32) {
	s.Helper()
	_, err := s.api.services(s.namespace).Create(s.Context(), foreignService(s.Deployment, 80), metav1.CreateOptions{})
	s.must(err)
	_, err = s.api.deployments(s.namespace).Create(s.Context(), foreignDeployment(s.Deployment+"-legacy", s.replicaImage(s), replicas), metav1.CreateOptions{})
	s.must(err)
	watching := s.platform.newSession(s.Context(), s.api)
	defer watching.end()
	pods := follow(watching.ctx, &watching.running, podsOf(s.api, s.namespace, workload{selector: foreignLabels(s.Deployment)}), watching.bell)
	slices := watching.endpoints(s.Deployment)
	s.must(watching.bell.await(s.Context(), func() (bool, time.Duration, error) {
		found, err := slices.current()
		if err != nil {
			return false, 0, err
		}
		selected, err := pods.current()
		return err == nil && len(selected) == int(replicas) && elsewhere(found, selected) == "" && allReady(selected), 0, err
	}))
}

func allReady(pods []*corev1.Pod) bool {
	for _, pod := range pods {
		if notReady(pod) != nil {
			return false
		}
	}
	return true
}

// What serves already becomes blue without anybody noticing, and comes back when
// it is asked for.
func TestClusterAdoption(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *Options) { o.Adopt, o.Service.Port, o.RecycleStandby = true, 80, true })
	s.begin(2)
	clients := gather(t, s.clusterAddress(), 3, 3)
	clients.hears("legacy")
	former := s.instances(bluegreen.Blue)

	_, err := s.Create(t.Context(), s.desired("2.0.0", 2))
	s.must(err)
	clients.hears("2.0.0")
	ledger, err := s.platform.Load(t.Context())
	s.must(err)
	if target, ok := ledger.RollbackTarget(); !ok || target.Operation != bluegreen.OpAdopt || ledger.Live != bluegreen.Green {
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
	s.tells("Adopted")
	s.must(s.Rollback(t.Context(), "to see"))
	clients.hears("legacy")
	service, err := s.api.services(s.namespace).Get(t.Context(), s.Deployment, metav1.GetOptions{})
	s.must(err)
	if service.Annotations["team"] != "shop" || service.Spec.Type != corev1.ServiceTypeNodePort {
		t.Errorf("what others said of the Service is gone: %+v", service)
	}
	// The next release takes the place of what was rolled back, the one after it that
	// of what was adopted.
	s.live("3.0.0", 2)
	s.live("4.0.0", 2)
	clients.hears("4.0.0")
	clients.content()

	// Whoever made it makes it again: that is nothing to us any more.
	deployments := s.api.deployments(s.namespace)
	again, err := deployments.Create(t.Context(), foreignDeployment(s.Deployment+"-legacy", s.replicaImage(s), 0), metav1.CreateOptions{})
	s.must(err)
	s.live("5.0.0", 1)
	s.live("6.0.0", 1)
	defer func() {
		left, err := deployments.Get(t.Context(), again.Name, metav1.GetOptions{})
		s.must(err)
		if left.UID != again.UID || len(left.Labels) > 0 {
			t.Errorf("somebody else's Deployment is touched: %+v", left.ObjectMeta)
		}
		s.must(deployments.Delete(t.Context(), again.Name, metav1.DeleteOptions{}))
	}()
	s.must(s.Destroy(context.WithoutCancel(t.Context())))
	s.nothingLeft()
}

func TestClusterAdoptionNeedsOneDeployment(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *Options) { o.Adopt, o.Service.Port = true, 80 })
	services := s.api.services(s.namespace)
	_, err := services.Create(t.Context(), foreignService(s.Deployment, 80), metav1.CreateOptions{})
	s.must(err)
	var refused *AdoptionError
	if _, err := s.Create(t.Context(), s.desired("1.0.0", 1)); !errors.As(err, &refused) || !strings.Contains(err.Error(), "the pods of 0 Deployments") {
		t.Errorf("got %v", err)
	}
	owned := foreignDeployment(s.Deployment+"-legacy", s.replicaImage(t), 0)
	owned.Labels = map[string]string{labelDeployment: "another"}
	deployments := s.api.deployments(s.namespace)
	_, err = deployments.Create(t.Context(), owned, metav1.CreateOptions{})
	s.must(err)
	if _, err := s.Create(t.Context(), s.desired("1.0.0", 1)); !errors.As(err, &refused) || !strings.Contains(err.Error(), `belongs to the deployment "another"`) {
		t.Errorf("got %v", err)
	}
	s.must(deployments.Delete(t.Context(), owned.Name, metav1.DeleteOptions{}))
	for _, env := range bluegreen.Environments() {
		// What serves has the very name that a release needs, which would take its place.
		owned.Name, owned.Labels = workloadName(s.Deployment, env), nil
		before, err := deployments.Create(t.Context(), owned, metav1.CreateOptions{})
		s.must(err)
		if _, err := s.Create(t.Context(), s.desired("1.0.0", 1)); !errors.As(err, &refused) || !strings.Contains(err.Error(), "which the "+env.String()+" environment needs") {
			t.Errorf("got %v", err)
		}
		after, err := deployments.Get(t.Context(), owned.Name, metav1.GetOptions{})
		s.must(err)
		if after.UID != before.UID || len(after.Labels) > 0 {
			t.Errorf("%s was touched: %+v", owned.Name, after.ObjectMeta)
		}
		s.must(deployments.Delete(t.Context(), owned.Name, metav1.DeleteOptions{}))
	}
	s.must(services.Delete(t.Context(), s.Deployment, metav1.DeleteOptions{}))
	_, err = services.Create(t.Context(), foreignService(s.Deployment, 8080), metav1.CreateOptions{})
	s.must(err)
	if _, err := s.Create(t.Context(), s.desired("1.0.0", 1)); !errors.As(err, &refused) || !strings.Contains(err.Error(), "it has no port 80") {
		t.Errorf("got %v", err)
	}
	s.must(services.Delete(t.Context(), s.Deployment, metav1.DeleteOptions{}))
}
