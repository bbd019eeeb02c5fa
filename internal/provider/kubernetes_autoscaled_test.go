// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Without replicas, an autoscaler sets the size: the plan stays empty after each change
// of it, the next release starts with the same size, and a rollback brings the
// standby to the size of live. With replicas, the configuration sets the size, until they are removed.
func TestKubernetesAutoscaled(t *testing.T) {
	t.Parallel()
	name, p := claimKubernetes(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	empty := resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}}
	h.run(
		resource.TestStep{
			Config: h.config(version("1.0.0"), unsized),
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("1.0.0"),
				stateHas(number(1), "environments", "green", "replicas"),
			},
		},
		resource.TestStep{
			PreConfig:        func() { p.autoscale(t, name, "green", 2) },
			Config:           h.config(version("1.0.0"), unsized),
			ConfigPlanChecks: empty,
		},
		resource.TestStep{
			Config: h.config(version("2.0.0"), unsized),
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("2.0.0"),
				stateHas(
					number(2),
					"environments",
					"blue",
					"ready_replicas",
				),
				stateHas(number(2), "environments", "green", "ready_replicas"),
			},
		},
		resource.TestStep{
			PreConfig: func() { p.autoscale(t, name, "blue", 3) },
			Config:    h.config(version("2.0.0"), unsized, rollback(true)),
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("1.0.0"),
				stateHas(number(3), "environments", "green", "ready_replicas"),
			},
		},
		resource.TestStep{
			Config: h.config(version("2.0.0"), attributes{"replicas": "1"}),
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("2.0.0"),
				stateHas(number(1), "environments", "blue", "ready_replicas"),
			},
		},
		resource.TestStep{
			Config: h.config(version("2.0.0"), unsized),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planIs(plancheck.ResourceActionUpdate)},
			},
			ConfigStateChecks: []statecheck.StateCheck{stateHas(number(1), "environments", "blue", "ready_replicas")},
		},
		resource.TestStep{
			PreConfig:        func() { p.autoscale(t, name, "blue", 2) },
			Config:           h.config(version("2.0.0"), unsized),
			ConfigPlanChecks: empty,
		},
	)
}

// unsized leaves the size of a release to others.
var unsized = attributes{"replicas": "null"}

// autoscale gives an environment another size, by what an autoscaler uses. That
// not all of the pods are there yet is no difference for a plan, either.
func (p *kubernetesTestPlatform) autoscale(t *testing.T, name, env string, replicas int32) {
	t.Helper()
	deployments := cluster.apps.Deployments(p.namespace)
	size := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	if _, err := deployments.Patch(
		t.Context(),
		name+"-"+env,
		types.MergePatchType,
		size,
		metav1.PatchOptions{},
		"scale",
	); err != nil {
		t.Fatal(err)
	}
}
