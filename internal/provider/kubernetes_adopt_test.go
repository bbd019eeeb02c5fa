// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"regexp"
	"strconv"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// What serves already becomes blue. A first release that is sick leaves it alone,
// one that is fit takes its place, and a rollback brings it back.
func TestKubernetesAdoption(t *testing.T) {
	t.Parallel()
	name, p := claimKubernetes(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	p.legacy(t, name)
	adopt := attributes{
		"kubernetes": fmt.Sprintf(
			"{ port = %d, namespace = %q, service = { port = 80 }, adopt = true }",
			servicePort,
			p.namespace,
		),
	}
	h.run(
		resource.TestStep{
			Config:      h.config(version("2.0.0"), adopt, shortHealthCheck, behaving(unhealthy)),
			ExpectError: regexp.MustCompile(`(?s)health check of green failed.*legacy\s+still\s+serves\s+from\s+blue`),
		},
		resource.TestStep{
			Config: h.config(version("2.0.0"), adopt),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionCreate),
				planHas(text("green"), "live_environment"),
				planHasUnknown("environments", "blue", "version"),
				planHasUnknown("rollback_available"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("2.0.0"), h.preview("legacy"), stateHas(knownvalue.Bool(true), "rollback_available"),
			},
		},
		resource.TestStep{
			Config:           h.config(version("2.0.0"), adopt),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
		resource.TestStep{
			Config:            h.config(version("2.0.0"), adopt, rollback(true)),
			ConfigStateChecks: []statecheck.StateCheck{h.live("legacy"), stateHas(text("blue"), "live_environment")},
		},
	)
}

// legacy is a Service and a Deployment that serve without this provider. It
// returns when they do.
func (p *kubernetesTestPlatform) legacy(t *testing.T, name string) {
	t.Helper()
	pods := map[string]string{"app": name}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: corev1.ServiceSpec{
			Selector: pods,
			Ports:    []corev1.ServicePort{{Port: 80, TargetPort: intstr.FromInt32(servicePort)}},
		},
	}
	if _, err := cluster.core.Services(p.namespace).Create(t.Context(), service, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	deployment := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{
			Name:   name + "-legacy",
			Labels: map[string]string{"app.kubernetes.io/version": "legacy"},
		},
		Spec: appsv1.DeploymentSpec{
			Selector: &metav1.LabelSelector{MatchLabels: pods},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: pods},
				Spec: corev1.PodSpec{Containers: []corev1.Container{
					{
						Name:  "app",
						Image: p.replica,
						Env: []corev1.EnvVar{
							{Name: "PORT", Value: strconv.Itoa(servicePort)},
							{Name: "BLUEGREEN_VERSION", Value: "legacy"},
						},
					},
				}},
			},
		},
	}
	deployments := cluster.apps.Deployments(p.namespace)
	if _, err := deployments.Create(t.Context(), deployment, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	watching, err := deployments.Watch(
		t.Context(),
		metav1.ListOptions{FieldSelector: "metadata.name=" + deployment.Name},
	)
	if err != nil {
		t.Fatal(err)
	}
	defer watching.Stop()
	for event := range watching.ResultChan() {
		if seen, ok := event.Object.(*appsv1.Deployment); ok && seen.Status.ReadyReplicas == 1 {
			return
		}
	}
	t.Fatal("the legacy Deployment does not become ready")
}
