// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Somebody brings the preview live without Terraform: the state says so, and
// there is nothing left to promote.
func TestSwitchedFromOutside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	hold := attributes{"promote": "false"}
	w.play(
		resource.TestStep{Config: w.config(version("1.0.0"))},
		resource.TestStep{Config: w.config(version("2.0.0"), hold), ConfigStateChecks: []statecheck.StateCheck{live("1.0.0")}},
		resource.TestStep{
			PreConfig: w.outside(func(ctx context.Context, ada *bluegreen.Deployer) error { return ada.Switch(ctx) }),
			Config:    w.config(version("2.0.0"), hold),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectEmptyPlan(),
			}},
			ConfigStateChecks: []statecheck.StateCheck{live("2.0.0"), has(text("blue"), "live_environment")},
		},
		resource.TestStep{
			Config:            w.config(version("2.0.0")),
			ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plans(text("deploy-2"), "deployment_id")}},
			ConfigStateChecks: []statecheck.StateCheck{live("2.0.0")},
		},
	)
}

// Somebody removes the deployment: it is gone from the state and made again.
func TestDestroyedFromOutside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.play(
		resource.TestStep{Config: w.config(version("1.0.0"))},
		resource.TestStep{
			PreConfig:         w.outside(func(ctx context.Context, ada *bluegreen.Deployer) error { return ada.Destroy(ctx) }),
			Config:            w.config(version("1.0.0")),
			ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action(plancheck.ResourceActionCreate)}},
			ConfigStateChecks: []statecheck.StateCheck{live("1.0.0")},
		},
	)
}
