// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// shortHealthCheck gives a release little time to become healthy: it never will.
var shortHealthCheck = attributes{
	"health_check": `{ http = { path = "/healthz" }, interval = "50ms", timeout = "2s", retries = 0 }`,
}

// A first release that is sick leaves nothing, and the next try is a create.
func TestSickFirstRelease(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		h.run(
			resource.TestStep{
				Config: h.config(version("1.0.0"), shortHealthCheck, behaving(unhealthy)),
				ExpectError: regexp.MustCompile(
					`(?s)The release is not healthy.*health check of green failed.*` +
						`replica green-1:\s+http: GET /healthz.*Nothing was left behind`,
				),
			},
			resource.TestStep{
				PreConfig: func() {
					if err := h.requireGone(); err != nil {
						h.t.Error(err)
					}
				},
				Config: h.config(version("1.0.1"), behaving(healthy)),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{planIs(plancheck.ResourceActionCreate)},
				},
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.1")},
			},
		)
	})
}

// A new release that is sick, or does not even start, changes nothing: the old
// one serves, the state is as it was, and the next plan is the same.
func TestSickRelease(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		same := []plancheck.PlanCheck{
			planIs(plancheck.ResourceActionUpdate),
			planHas(text("blue"), "live_environment"),
			planHas(text("2.0.0"), "live_version"),
		}
		h.run(
			resource.TestStep{
				Config:            h.config(version("1.0.0")),
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			},
			resource.TestStep{
				Config:           h.config(version("2.0.0"), shortHealthCheck, behaving(unhealthy)),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: same},
				ExpectError: regexp.MustCompile(
					`(?s)health check of blue failed.*replica blue-1:\s+http: GET /healthz.*` +
						`live\s+environment\s+was\s+not\s+touched:\s+1\.0\.0\s+still\s+serves\s+from\s+green`,
				),
			},
			resource.TestStep{
				// That it has ended is seen even if no time is left.
				Config:           h.config(version("2.0.0"), behaving(exits), attributes{"replicas": "2"}),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: same},
				// Of its log, which is long, few lines reach the terminal, none of them long or more than
				// text, and those of one replica.
				ExpectError: regexp.MustCompile(strings.ReplaceAll(
					`^ANYreplica blue-1ANYexit status 3ANYThe last lines of blue-[12]:\n(?:    [^\n]*\n){0,8}`+
						`    (long){50}…\n    no database [^\n]*\nANY`+
						`The\s+live\s+environment\s+was\s+not\s+touched:ANY$`,
					"ANY", `[^\x07\x1b]*`,
				)),
			},
			resource.TestStep{
				Config: h.config(version("1.0.0")),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
				},
				ConfigStateChecks: []statecheck.StateCheck{
					h.live("1.0.0"),
					stateHas(text("failed"), "environments", "blue", "state"),
				},
			},
			resource.TestStep{
				Config:            h.config(version("2.0.0"), behaving(healthy)),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: same},
				ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
			},
		)
	})
}

// The values of environment variables come into no error, even when the release
// itself writes them.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(t),
		ErrorCheck: func(err error) error {
			if strings.Contains(err.Error(), secret) {
				return errors.New("the error holds the secret")
			}
			return err
		},
		Steps: []resource.TestStep{{
			Config:      h.config(shortHealthCheck, behaving(exits)),
			ExpectError: regexp.MustCompile(`no database \*\*\*\n`),
		}},
	})
}

// While another operation holds the lock, an apply names its holder and touches nothing.
func TestBusy(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		var unlock func()
		h.run(
			resource.TestStep{Config: h.config(version("1.0.0"))},
			resource.TestStep{
				PreConfig: func() {
					var err error
					if unlock, err = h.outsider().Platform.Lock(h.t.Context(), "ada@example pid 1"); err != nil {
						h.t.Fatal(err)
					}
				},
				Config: h.config(version("2.0.0")),
				ExpectError: regexp.MustCompile(`(?s)The deployment is busy.*` +
					`ada@example\s+pid\s+1\s+has\s+held\s+the\s+lock.*Nothing was touched`),
			},
			resource.TestStep{
				PreConfig:         func() { unlock() },
				Config:            h.config(version("2.0.0")),
				ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
			},
		)
	})
}

// A create does not touch a deployment that exists, and says how to import it.
func TestCreateFindsOne(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	release := bluegreen.Release{Version: "0.9.0", Image: h.image(), Replicas: 1}
	asked := bluegreen.Desired{Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100}
	h.run(
		resource.TestStep{
			PreConfig: func() {
				if _, err := h.outsider().Create(t.Context(), asked); err != nil {
					t.Fatal(err)
				}
			},
			Config:      h.config(version("1.0.0")),
			ExpectError: regexp.MustCompile(`(?s)exists already.*Nothing was touched.*terraform import ADDRESS web`),
		},
		resource.TestStep{
			Config:             h.config(version("0.9.0")),
			ResourceName:       address,
			ImportState:        true,
			ImportStateId:      "web",
			ImportStatePersist: true,
		},
		resource.TestStep{
			Config: h.config(version("1.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planIs(plancheck.ResourceActionUpdate)},
			},
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0"), h.preview("0.9.0")},
		},
	)
}
