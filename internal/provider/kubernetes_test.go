// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes"
)

// The plan shows what was changed with kubectl, and apply repairs it.
func TestKubernetesDrift(t *testing.T) {
	t.Parallel()
	name, p := claimKubernetes(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	green := name + "-green"
	deployments, services := cluster.apps.Deployments(p.namespace), cluster.core.Services(p.namespace)
	patch := func(ctx context.Context, json string) error {
		_, err := deployments.Patch(ctx, green, types.StrategicMergePatchType, []byte(json), metav1.PatchOptions{})
		return err
	}
	config := h.config(version("1.0.0"))
	steps := []resource.TestStep{{Config: config}}
	for _, change := range []func(context.Context) error{
		func(ctx context.Context) error {
			selector := []byte(`{"spec":{"selector":{"app":"shop"}}}`)
			_, err := services.Patch(ctx, name, types.MergePatchType, selector, metav1.PatchOptions{})
			return err
		},
		func(ctx context.Context) error { return patch(ctx, `{"spec":{"replicas":0}}`) },
		func(ctx context.Context) error {
			containers := fmt.Sprintf(`[{"name":%q,"image":"nowhere:1"}]`, name)
			return patch(ctx, fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":%s}}}}`, containers))
		},
		func(ctx context.Context) error { return deployments.Delete(ctx, green, metav1.DeleteOptions{}) },
		func(ctx context.Context) error {
			unlabelled := []byte(`{"metadata":{"labels":{"app.kubernetes.io/instance":null}}}`)
			_, err := services.Patch(ctx, name, types.MergePatchType, unlabelled, metav1.PatchOptions{})
			return err
		},
		func(ctx context.Context) error { return services.Delete(ctx, name+"-preview", metav1.DeleteOptions{}) },
	} {
		steps = append(steps, resource.TestStep{
			PreConfig: func() {
				if err := change(t.Context()); err != nil {
					t.Fatal(err)
				}
			},
			Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planIs(plancheck.ResourceActionUpdate)},
			},
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("1.0.0"),
				stateHas(number(1), "environments", "green", "ready_replicas"),
				stateHas(knownvalue.Null(), "drift"),
			},
		})
	}
	h.run(steps...)
}

// The namespace may be made by the same apply. Which deployment it is is not known
// before.
func TestKubernetesUnknownNamespace(t *testing.T) {
	t.Parallel()
	name, p := claimKubernetes(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	block := strings.Replace(
		h.settings()["kubernetes"],
		fmt.Sprintf("%q", p.namespace),
		"terraform_data.namespace.output",
		1,
	)
	h.run(resource.TestStep{
		Config: "resource \"terraform_data\" \"namespace\" {\n  input = \"" + p.namespace + "\"\n}\n" + h.config(
			attributes{"kubernetes": block},
		),
		ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
			planIs(plancheck.ResourceActionCreate), planHasUnknown("id"), planHasUnknown("kubernetes", "namespace"),
		}},
		ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0"), stateHas(text(p.id(name)), "id")},
	})
}

// A Service that is not the provider's and has its name is an error. It is never touched.
func TestKubernetesForeignService(t *testing.T) {
	t.Parallel()
	name, p := claimKubernetes(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	services := cluster.core.Services(p.namespace)
	foreign, err := services.Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	h.run(
		resource.TestStep{
			Config:      h.config(version("1.0.0")),
			ExpectError: regexp.MustCompile(`(?s)Service\s+` + p.namespace + `/` + name),
		},
		resource.TestStep{
			PreConfig: func() {
				found, err := services.Get(t.Context(), name, metav1.GetOptions{})
				if err != nil || found.ResourceVersion != foreign.ResourceVersion {
					t.Errorf("the Service was changed: %v", err)
				}
				if err := services.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
					t.Fatal(err)
				}
			},
			Config:            h.config(version("1.0.0")),
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
	)
}

// A cluster that does not answer is an error that names it, and nothing is gone.
func TestKubernetesUnreachable(t *testing.T) {
	t.Parallel()
	name, p := claimKubernetes(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	nowhere := "provider \"bluegreen\" {\n  kubernetes = { host = \"https://127.0.0.1:1\" }\n}\n"
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"))},
		resource.TestStep{
			Config: nowhere + h.resource("web", version("2.0.0")),
			ExpectError: regexp.MustCompile(
				`(?s)could not be read.*cluster\s+at\s+https://127\.0\.0\.1:1\s+cannot\s+be\s+reached`,
			),
		},
		resource.TestStep{
			Config:           h.config(version("1.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
	)
}

// A missing permission is an error that names the verb and the resource.
func TestKubernetesForbidden(t *testing.T) {
	t.Parallel()
	name, p := claimKubernetes(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	p.kubeconfig = filepath.Join(cluster.dir, "kubeconfig-limited")
	t.Cleanup(kubernetes.NewClient(kubernetes.ClientConfig{ConfigPaths: []string{p.kubeconfig}}).Close)
	h.run(resource.TestStep{
		Config:      h.config(version("1.0.0")),
		ExpectError: regexp.MustCompile(`(?s)cannot\s+get\s+resource\s+"(services|leases)"`),
	})
}

// The readiness of the pods can be the whole health check.
func TestKubernetesReadinessAlone(t *testing.T) {
	t.Parallel()
	name, p := claimKubernetes(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	trusting := attributes{"health_check": "{ ready = {} }"}
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"), trusting)},
		resource.TestStep{
			Config:            h.config(version("2.0.0"), trusting),
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
		},
	)
}
