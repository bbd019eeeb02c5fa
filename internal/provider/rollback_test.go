// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"regexp"
	"testing"

	"github.com/cenkalti/backoff/v5"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// What a rollback cannot do is said by the plan, and nothing is touched.
func TestImpossibleRollbacks(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	h.run(
		resource.TestStep{
			Config:      h.config(rollback(true)),
			ExpectError: regexp.MustCompile(`(?s)nothing\s+to\s+roll\s+back\s+to.*no\s+release\s+.*serves\s+yet`),
		},
		resource.TestStep{
			Config: h.config(version("1.0.0")),
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("1.0.0"),
				stateHas(knownvalue.Bool(false), "rollback_available"),
			},
		},
		resource.TestStep{
			Config:      h.config(version("1.0.0"), rollback(true)),
			ExpectError: regexp.MustCompile(`(?s)nothing\s+to\s+roll\s+back\s+to.*1\.0\.0\s+serves`),
		},
		resource.TestStep{
			Config:      h.config(version("2.0.0"), rollback(true)),
			ExpectError: regexp.MustCompile(`(?s)A\s+new\s+release\s+cannot\s+be\s+rolled\s+back.*rollback\s+=`),
		},
		resource.TestStep{
			Config:            h.config(version("2.0.0")),
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
		},
		resource.TestStep{
			Config:            h.config(version("2.0.0"), rollback(true)),
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
		resource.TestStep{
			Config:      h.config(version("3.0.0"), rollback(true)),
			ExpectError: regexp.MustCompile(`(?s)A\s+new\s+release\s+cannot\s+be\s+rolled\s+back.*1\.0\.0\s+serves`),
		},
		resource.TestStep{
			Config: h.config(version("3.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planHas(text("blue"), "live_environment")},
			},
			ConfigStateChecks: []statecheck.StateCheck{h.live("3.0.0"), h.preview("1.0.0")},
		},
	)
}

// A release that does not stay healthy while it is watched goes back by itself,
// the apply fails, and the state says what serves.
func TestAutomaticRollback(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		watched := attributes{
			"bake_time":    `"10s"`,
			"health_check": `{ http = { path = "/healthz" }, interval = "20ms", retries = 1 }`,
		}
		h.run(
			resource.TestStep{
				Config:            h.config(version("1.0.0")),
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			},
			resource.TestStep{
				Config: h.config(version("2.0.0"), watched, behaving(turnsUnhealthy)),
				ExpectError: regexp.MustCompile(
					`(?s)The release is not healthy.*watch of blue.*503.*traffic is\s+back on 1\.0\.0.*` +
						`not\s+deployed\s+again.*retry\s+=\s+"deploy-2"`,
				),
			},
			// The next run of a pipeline does not bring it back.
			resource.TestStep{
				Config:      h.config(version("2.0.0"), watched, behaving(turnsUnhealthy)),
				PlanOnly:    true,
				ExpectError: heldBack(`2\.0\.0\s+was\s+rolled\s+back.*Since\s+then\s+1\.0\.0\s+serves`),
			},
			resource.TestStep{
				Config:            h.config(version("2.0.0"), watched, behaving(turnsUnhealthy), rollback(true)),
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			},
			resource.TestStep{
				Config: h.config(version("2.0.1")),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planIs(plancheck.ResourceActionUpdate),
					planHas(text("blue"), "live_environment"),
					planHas(text("1.0.0"), "environments", "green", "version"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					h.live("2.0.1"),
					stateHas(text("deploy-4"), "deployment_id"),
				},
			},
		)
	})
}

// heldBack matches the error of a plan that would bring the release of deploy-2 back. It says why, and
// names what the user can do.
func heldBack(why string) *regexp.Regexp {
	return regexp.MustCompile(`(?s)is\s+not\s+deployed\s+again.*version.*` + why +
		`.*another\s+release.*rollback\s+=\s+true.*retry\s+=\s+"deploy-2"`)
}

// A rollback is made outside Terraform: the plan refuses to undo it, unless it is asked to
// try that very record again.
func TestRolledBackFromOutside(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"))},
		resource.TestStep{Config: h.config(version("2.0.0"))},
		resource.TestStep{
			PreConfig: h.outside(func(ctx context.Context, ada *bluegreen.Deployer) error {
				return ada.Rollback(ctx, "it lost orders")
			}),
			Config:      h.config(version("2.0.0")),
			ExpectError: heldBack(`2\.0\.0\s+was\s+rolled\s+back\s+at.*by\s+ada.*it\s+lost\s+orders`),
		},
		resource.TestStep{
			Config:      h.config(version("2.0.0"), attributes{"retry": `"deploy-1"`}),
			ExpectError: heldBack(`it\s+lost\s+orders.*"deploy-1"\s+names\s+another\s+record\s+than\s+deploy-2`),
		},
		resource.TestStep{
			Config: h.config(version("2.0.0"), attributes{"retry": `"deploy-2"`}),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate),
				planHas(text("blue"), "live_environment"),
				planHas(text("2.0.0"), "live_version"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
		},
		resource.TestStep{
			PreConfig: h.outside(func(ctx context.Context, ada *bluegreen.Deployer) error {
				return ada.Rollback(ctx, "it lost orders again")
			}),
			// Configured after the fact, there is nothing to do but to note it.
			Config: h.config(version("2.0.0"), rollback(true)),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planHas(text("green"), "live_environment")},
			},
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
	)
}

// A rollback does not move the clients to a standby that does not work. With
// rollback_check = false it goes back.
func TestRollbackToAnUnhealthyStandby(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	unwatched := attributes{
		"bake_time":    `"0s"`,
		"health_check": `{ http = { path = "/healthz" }, interval = "20ms" }`,
	}
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"), unwatched)},
		resource.TestStep{
			PreConfig:         func() { h.tellLive("/sicken") },
			Config:            h.config(version("2.0.0"), unwatched),
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
		},
		resource.TestStep{
			// The agent finds the standby unhealthy. The next refresh tells, and the plan
			// stays empty.
			PreConfig: h.awaitBlockedRollback,
			Config:    h.config(version("2.0.0"), unwatched),
			ConfigStateChecks: []statecheck.StateCheck{
				stateHas(knownvalue.Bool(false), "rollback_available"),
				stateHas(knownvalue.StringRegexp(regexp.MustCompile(
					`^0 of 1 replicas of the standby can take the traffic: replica green-1 is not ready: .*503`,
				)), "rollback_blocked"),
			},
		},
		resource.TestStep{
			Config: h.config(version("2.0.0"), unwatched, rollback(true)),
			// Either the agent has found it already, or the probe of the rollback does.
			ExpectError: regexp.MustCompile(`(?s)The rollback failed.*rollback.*standby.*` +
				`green-1.*503.*2\.0\.0\s+still\s+serves.*rollback_check\s+=\s+false`),
		},
		resource.TestStep{
			Config:            h.config(version("2.0.0"), unwatched),
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
		},
		resource.TestStep{
			Config: h.config(version("2.0.0"), unwatched, rollback(true),
				attributes{"rollback_check": "false"}),
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			// The next plan repairs live, which is not healthy.
			ExpectNonEmptyPlan: true,
		},
	)
}

// awaitBlockedRollback waits until no rollback is available.
func (h *harness) awaitBlockedRollback() {
	h.t.Helper()
	_, err := backoff.Retry(h.t.Context(), func() (struct{}, error) {
		if h.status().RollbackBlocked(100) == nil {
			return struct{}{}, errors.New("a rollback is still available")
		}
		return struct{}{}, nil
	}, backoff.WithBackOff(backoff.NewConstantBackOff(pollInterval)), backoff.WithMaxElapsedTime(waitLimit))
	if err != nil {
		h.t.Fatal(err)
	}
}

// A create whose time is over while live fails its probes is an error, and leaves nothing.
func TestWatchThatIsCutShortWhileLiveFails(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	watched := attributes{
		"bake_time": `"5s"`,
		"health_check": `{ http = { path = "/healthz" }, interval = "1s", timeout = "4s", retries = 0, ` +
			`unhealthy_threshold = 8 }`,
	}
	h.run(
		resource.TestStep{
			Config: h.config(version("1.0.0"), watched, behaving(turnsUnhealthy),
				attributes{"timeouts": `{ create = "8s" }`}),
			ExpectError: regexp.MustCompile(`(?s)The release is not healthy.*out\s+of\s+time.*of\s+\d+\s+probes\s+` +
				`of\s+live\s+failed.*503.*Nothing\s+was\s+left\s+behind`),
		},
		resource.TestStep{
			Config:            h.config(version("1.0.1"), watched),
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.1")},
		},
	)
}

// Terraform plans before it destroys, and a provider cannot tell that plan from another
// one. With rollback = true, as the error says, a deployment can be destroyed whose release
// was taken back.
func TestHeldReleaseCanBeDestroyed(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"))},
		resource.TestStep{Config: h.config(version("2.0.0"))},
		resource.TestStep{
			PreConfig: h.outside(func(ctx context.Context, ada *bluegreen.Deployer) error {
				return ada.Rollback(ctx, "it lost orders")
			}),
			Config:      h.config(version("2.0.0")),
			Destroy:     true,
			ExpectError: regexp.MustCompile(`rollback\s+=\s+true,\s+also\s+to\s+destroy`),
		},
		resource.TestStep{Config: h.config(version("2.0.0"), rollback(true)), Destroy: true},
	)
}
