// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// What a rollback cannot do is said by the plan, and nothing is touched.
func TestImpossibleRollbacks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.play(
		resource.TestStep{
			Config:      w.config(rollback(true)),
			ExpectError: regexp.MustCompile(`(?s)nothing to roll back to.*No release of this deployment serves yet`),
		},
		resource.TestStep{
			Config:            w.config(version("1.0.0")),
			ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0"), has(knownvalue.Bool(false), "rollback_available")},
		},
		resource.TestStep{
			Config:      w.config(version("1.0.0"), rollback(true)),
			ExpectError: regexp.MustCompile(`(?s)nothing to roll back to.*1\.0\.0 serves`),
		},
		resource.TestStep{
			Config:      w.config(version("2.0.0"), rollback(true)),
			ExpectError: regexp.MustCompile(`(?s)A new release cannot be rolled back.*rollback =`),
		},
		resource.TestStep{
			Config:            w.config(version("2.0.0")),
			ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0")},
		},
		resource.TestStep{
			Config:            w.config(version("2.0.0"), rollback(true)),
			ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")},
		},
		resource.TestStep{
			Config:      w.config(version("3.0.0"), rollback(true)),
			ExpectError: regexp.MustCompile(`(?s)A new release cannot be rolled back.*1\.0\.0 serves`),
		},
		resource.TestStep{
			Config:            w.config(version("3.0.0")),
			ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plans(text("blue"), "live_environment")}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("3.0.0"), w.preview("1.0.0")},
		},
	)
}

// A release that does not stay healthy while it is watched goes back by itself,
// the apply fails, and the state says what serves.
func TestAutomaticRollback(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		watched := attributes{
			"bake_time":    `"10s"`,
			"health_check": `{ http = { path = "/healthz" }, interval = "20ms", retries = 1 }`,
		}
		w.play(
			resource.TestStep{
				Config:            w.config(version("1.0.0")),
				ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")},
			},
			resource.TestStep{
				Config:      w.config(version("2.0.0"), watched, conduct(sickens)),
				ExpectError: regexp.MustCompile(`(?s)The release is not healthy.*watch of blue.*503.*traffic is\s+back on 1\.0\.0`),
			},
			resource.TestStep{
				RefreshState:       true,
				ExpectNonEmptyPlan: true,
			},
			resource.TestStep{
				Config: w.config(version("2.0.1")),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					action(plancheck.ResourceActionUpdate),
					plans(text("blue"), "live_environment"),
					plans(text("1.0.0"), "environments", "green", "version"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.1"), has(text("deploy-4"), "deployment_id")},
			},
		)
	})
}

// Somebody rolls back without Terraform: the plan shows it, and apply deploys
// what is configured once more.
func TestRolledBackFromOutside(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.play(
		resource.TestStep{Config: w.config(version("1.0.0"))},
		resource.TestStep{Config: w.config(version("2.0.0"))},
		resource.TestStep{
			PreConfig: w.outside(func(ctx context.Context, ada *bluegreen.Deployer) error {
				return ada.Rollback(ctx, "it lost orders")
			}),
			Config: w.config(version("2.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				action(plancheck.ResourceActionUpdate),
				plans(text("blue"), "live_environment"),
				plans(text("2.0.0"), "live_version"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0")},
		},
		resource.TestStep{
			PreConfig: w.outside(func(ctx context.Context, ada *bluegreen.Deployer) error {
				return ada.Rollback(ctx, "it lost orders again")
			}),
			// Configured after the fact, there is nothing to do but to note it.
			Config:            w.config(version("2.0.0"), rollback(true)),
			ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plans(text("green"), "live_environment")}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")},
		},
	)
}
