// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// replicas alone scales live and standby in place: no new record, no new release.
func TestScale(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		h.run(
			resource.TestStep{Config: h.config(version("1.0.0"))},
			resource.TestStep{Config: h.config(version("2.0.0"))},
			resource.TestStep{
				Config: h.config(version("2.0.0"), attributes{"replicas": "3"}),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planIs(plancheck.ResourceActionUpdate),
					planHas(text("deploy-2"), "deployment_id"),
					planHas(number(3), "environments", "blue", "replicas"),
					planHas(number(3), "environments", "green", "replicas"),
					planHasUnknown("environments", "blue", "ready_replicas"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					h.live("2.0.0"),
					stateHas(number(3), "environments", "blue", "ready_replicas"),
					stateHas(number(3), "environments", "green", "ready_replicas"),
					stateHas(knownvalue.Bool(true), "rollback_available"),
				},
			},
			resource.TestStep{
				Config: h.config(version("2.0.0"), attributes{"replicas": "1"}),
				ConfigStateChecks: []statecheck.StateCheck{
					h.live("2.0.0"),
					stateHas(number(1), "environments", "blue", "ready_replicas"),
					stateHas(number(1), "environments", "green", "ready_replicas"),
				},
			},
		)
	})
}

// promote = false stops at a healthy preview; true later brings it live.
func TestPreviewThenPromote(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		hold, promote := attributes{"promote": "false"}, attributes{"promote": "true"}
		h.run(
			resource.TestStep{
				Config: h.config(version("1.0.0"), hold),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planHas(knownvalue.Null(), "live_environment"),
					planHas(knownvalue.Null(), "deployment_id"),
					planHas(text("ready"), "environments", "green", "state"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					h.preview("1.0.0"),
					stateHas(knownvalue.Null(), "live_version"),
				},
			},
			resource.TestStep{
				Config: h.config(version("1.0.0"), promote),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{planHas(text("green"), "live_environment")},
				},
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			},
			resource.TestStep{
				Config: h.config(version("2.0.0"), hold),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planHas(text("green"), "live_environment"),
					planHas(text("deploy-1"), "deployment_id"),
					planHas(text("2.0.0"), "environments", "blue", "version"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0"), h.preview("2.0.0")},
			},
			resource.TestStep{
				Config: h.config(version("2.0.0"), promote),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planHas(text("blue"), "live_environment"),
					planHas(knownvalue.Bool(true), "rollback_available"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0"), h.preview("1.0.0")},
			},
			resource.TestStep{
				// Taking promote back is no rollback.
				Config:            h.config(version("2.0.0"), hold),
				ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
			},
		)
	})
}

// standby = "remove" leaves nothing to roll back to.
func TestStandbyRemove(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		remove := attributes{"standby": `"remove"`}
		h.run(
			resource.TestStep{Config: h.config(version("1.0.0"), remove)},
			resource.TestStep{
				Config: h.config(version("2.0.0"), remove),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planHas(knownvalue.Null(), "environments", "green", "version"),
					planHas(number(0), "environments", "green", "ready_replicas"),
					planHas(knownvalue.Bool(false), "rollback_available"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					h.live("2.0.0"),
					stateHas(number(0), "environments", "green", "replicas"),
				},
			},
			resource.TestStep{
				Config:      h.config(version("2.0.0"), remove, rollback(true)),
				ExpectError: regexp.MustCompile(`nothing to roll back to`),
			},
			resource.TestStep{
				Config:            h.config(version("3.0.0")),
				ConfigStateChecks: []statecheck.StateCheck{h.live("3.0.0"), h.preview("2.0.0")},
			},
			resource.TestStep{
				// Removing it later is a change of its own.
				Config: h.config(version("3.0.0"), remove),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{
						planHas(text("green"), "live_environment"),
						planHas(text("deploy-3"), "deployment_id"),
					},
				},
				ConfigStateChecks: []statecheck.StateCheck{
					h.live("3.0.0"),
					stateHas(knownvalue.Null(), "environments", "blue", "version"),
				},
			},
		)
	})
}

// Settings that change nothing that runs are taken over, and the plan shows
// nothing else.
func TestSettingsOnly(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"))},
		resource.TestStep{
			Config: h.config(version("1.0.0"), attributes{"drain_timeout": `"7s"`, "history_limit": "3"}),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate),
				planHas(text("deploy-1"), "deployment_id"),
				planHas(number(1), "environments", "green", "ready_replicas"),
				planHas(knownvalue.NotNull(), "endpoint"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
		resource.TestStep{
			Config:           h.config(version("1.0.0"), attributes{"local": `{ protocol = "tcp" }`}),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{planHasUnknown("endpoint")}},
			ConfigStateChecks: []statecheck.StateCheck{
				stateHas(knownvalue.StringRegexp(regexp.MustCompile(`^tcp://127\.0\.0\.1:\d+$`)), "endpoint"),
			},
		},
	)
}
