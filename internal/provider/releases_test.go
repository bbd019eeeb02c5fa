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
	onEachPlatform(t, func(h *harness) {
		h.run(
			resource.TestStep{
				Config: h.config(version("1.0.0")),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: append(planServes("1.0.0", "green", false),
					planIs(plancheck.ResourceActionCreate),
					planHas(text("blue"), "staging_environment"),
					planHas(text("live"), "environments", "green", "state"),
					planHas(text("idle"), "environments", "blue", "state"),
					planHas(number(0), "environments", "blue", "ready_replicas"),
					planHasUnknown("deployment_id"),
					planHasUnknown("environments", "green", "deployed_at"),
				)},
				ConfigStateChecks: []statecheck.StateCheck{
					h.live("1.0.0"),
					stateHas(text("green"), "live_environment"),
					stateHas(text("deploy-1"), "deployment_id"),
					stateHas(number(1), "environments", "green", "ready_replicas"),
					stateHas(knownvalue.Bool(true), "environments", "green", "health_check_passed"),
				},
			},
			resource.TestStep{
				Config: h.config(version("2.0.0")),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: append(planServes("2.0.0", "blue", true),
					planIs(plancheck.ResourceActionUpdate),
					planHas(text("idle"), "environments", "green", "state"),
					planHas(text("1.0.0"), "environments", "green", "version"),
					planHas(number(1), "environments", "green", "ready_replicas"),
					planHasUnknown("deployment_id"),
					planHasUnknown("environments", "blue", "image_digest"),
				)},
				ConfigStateChecks: []statecheck.StateCheck{
					h.live("2.0.0"),
					h.preview("1.0.0"),
					stateHas(knownvalue.Bool(true), "rollback_available"),
				},
			},
			resource.TestStep{
				Config: h.config(version("2.0.0"), rollback(true)),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: append(planServes("1.0.0", "green", false),
					planIs(plancheck.ResourceActionUpdate),
				)},
				ConfigStateChecks: []statecheck.StateCheck{
					h.live("1.0.0"),
					stateHas(text("rollback-3"), "deployment_id"),
				},
			},
			resource.TestStep{
				Config: h.config(version("2.0.0"), rollback(true)),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
				},
			},
			resource.TestStep{
				Config: h.config(version("2.0.0"), rollback(false)),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{planHas(text("blue"), "live_environment")},
				},
				ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
			},
		)
	})
}

// planServes checks which version will serve from which environment, and whether it can
// be rolled back.
func planServes(version, environment string, rollbackAvailable bool) []plancheck.PlanCheck {
	return []plancheck.PlanCheck{
		planHas(text(environment), "live_environment"),
		planHas(text(version), "live_version"),
		planHas(knownvalue.Bool(rollbackAvailable), "rollback_available"),
	}
}
