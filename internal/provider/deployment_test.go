// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// A release goes live, the next one replaces it, and back and forth again.
func TestReleasesAndRollback(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.play(
			resource.TestStep{
				Config: w.config(version("1.0.0")),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					action(plancheck.ResourceActionCreate),
					plans(text("green"), "live_environment"),
					plans(text("blue"), "staging_environment"),
					plans(text("1.0.0"), "live_version"),
					plans(knownvalue.Bool(false), "rollback_available"),
					plans(text("live"), "environments", "green", "state"),
					plans(text("idle"), "environments", "blue", "state"),
					plans(number(0), "environments", "blue", "ready_replicas"),
					leavesOpen("deployment_id"),
					leavesOpen("endpoint"),
					leavesOpen("environments", "green", "deployed_at"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					w.live("1.0.0"),
					has(text("green"), "live_environment"),
					has(text("deploy-1"), "deployment_id"),
					has(number(1), "environments", "green", "ready_replicas"),
					has(knownvalue.Bool(true), "environments", "green", "health_check_passed"),
				},
			},
			resource.TestStep{
				Config: w.config(version("2.0.0")),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					action(plancheck.ResourceActionUpdate),
					plans(text("blue"), "live_environment"),
					plans(text("2.0.0"), "live_version"),
					plans(knownvalue.Bool(true), "rollback_available"),
					plans(text("idle"), "environments", "green", "state"),
					plans(text("1.0.0"), "environments", "green", "version"),
					plans(number(1), "environments", "green", "ready_replicas"),
					leavesOpen("deployment_id"),
					leavesOpen("environments", "blue", "image_digest"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					w.live("2.0.0"),
					w.preview("1.0.0"),
					has(knownvalue.Bool(true), "rollback_available"),
				},
			},
			resource.TestStep{
				Config: w.config(version("2.0.0"), rollback(true)),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					action(plancheck.ResourceActionUpdate),
					plans(text("green"), "live_environment"),
					plans(text("1.0.0"), "live_version"),
					plans(knownvalue.Bool(false), "rollback_available"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0"), has(text("rollback-3"), "deployment_id")},
			},
			resource.TestStep{
				Config:           w.config(version("2.0.0"), rollback(true)),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
			},
			resource.TestStep{
				Config:            w.config(version("2.0.0"), rollback(false)),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plans(text("blue"), "live_environment")}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0")},
			},
		)
	})
}
