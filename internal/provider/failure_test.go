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

// impatient gives a release little time to become healthy: it never will.
var impatient = attributes{"health_check": `{ http = { path = "/healthz" }, interval = "50ms", timeout = "2s", retries = 0 }`}

// A first release that is sick leaves nothing, and the next try is a create.
func TestSickFirstRelease(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.play(
			resource.TestStep{
				Config:      w.config(version("1.0.0"), impatient, conduct(sick)),
				ExpectError: regexp.MustCompile(`(?s)The release is not healthy.*health check of green failed.*replica green-1:\s+http: GET /healthz.*Nothing was left behind`),
			},
			resource.TestStep{
				PreConfig: func() {
					if err := w.gone(); err != nil {
						w.t.Error(err)
					}
				},
				Config:            w.config(version("1.0.1"), conduct(fit)),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action(plancheck.ResourceActionCreate)}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.1")},
			},
		)
	})
}

// A new release that is sick, or does not even start, changes nothing: the old
// one serves, the state is as it was, and the next plan is the same.
func TestSickRelease(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		same := []plancheck.PlanCheck{
			action(plancheck.ResourceActionUpdate),
			plans(text("blue"), "live_environment"),
			plans(text("2.0.0"), "live_version"),
		}
		w.play(
			resource.TestStep{Config: w.config(version("1.0.0")), ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")}},
			resource.TestStep{
				Config:           w.config(version("2.0.0"), impatient, conduct(sick)),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: same},
				ExpectError:      regexp.MustCompile(`(?s)health check of blue failed.*replica blue-1:\s+http: GET /healthz.*Live was not touched: 1\.0\.0 still serves from green`),
			},
			resource.TestStep{
				// That it has ended is seen whatever time there is left.
				Config:           w.config(version("2.0.0"), conduct(dies)),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: same},
				ExpectError:      regexp.MustCompile(`(?s)replica blue-1.*exit status 3.*The last lines of blue-1:.*no database.*still serves from green`),
			},
			resource.TestStep{
				Config:            w.config(version("1.0.0")),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0"), has(text("failed"), "environments", "blue", "state")},
			},
			resource.TestStep{
				Config:            w.config(version("2.0.0"), conduct(fit)),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: same},
				ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0")},
			},
		)
	})
}

// The values of environment variables come into no error, also when the release
// itself writes them.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: factories(),
		ErrorCheck: func(err error) error {
			if strings.Contains(err.Error(), secret) {
				return errors.New("the error holds the secret")
			}
			return err
		},
		Steps: []resource.TestStep{{
			Config:      w.config(impatient, conduct(dies)),
			ExpectError: regexp.MustCompile(`starting 1\.0\.0 \*\*\*`),
		}},
	})
}

// While somebody else works on the deployment an apply says who, and touches nothing.
func TestBusy(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		var unlock func()
		w.play(
			resource.TestStep{Config: w.config(version("1.0.0"))},
			resource.TestStep{
				PreConfig: func() {
					var err error
					if unlock, err = w.outsider().Platform.Lock(w.t.Context(), "ada@example pid 1"); err != nil {
						w.t.Fatal(err)
					}
				},
				Config:      w.config(version("2.0.0")),
				ExpectError: regexp.MustCompile(`(?s)The deployment is busy.*ada@example pid 1 works on it since.*Nothing was touched`),
			},
			resource.TestStep{
				PreConfig:         func() { unlock() },
				Config:            w.config(version("2.0.0")),
				ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0")},
			},
		)
	})
}

// A deployment that is there already is somebody's: create leaves it alone and
// says how to take it over.
func TestCreateFindsOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	release := bluegreen.Release{Version: "0.9.0", Image: w.image(), Replicas: 1}
	asked := bluegreen.Desired{Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100}
	w.play(
		resource.TestStep{
			PreConfig: func() {
				if _, err := w.outsider().Create(t.Context(), asked); err != nil {
					t.Fatal(err)
				}
			},
			Config:      w.config(version("1.0.0")),
			ExpectError: regexp.MustCompile(`(?s)exists already.*Nothing was touched.*terraform import ADDRESS web`),
		},
		resource.TestStep{
			Config:             w.config(version("0.9.0")),
			ResourceName:       address,
			ImportState:        true,
			ImportStateId:      "web",
			ImportStatePersist: true,
		},
		resource.TestStep{
			Config:            w.config(version("1.0.0")),
			ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action(plancheck.ResourceActionUpdate)}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0"), w.preview("0.9.0")},
		},
	)
}
