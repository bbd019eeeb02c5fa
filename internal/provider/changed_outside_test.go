// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The preview is promoted outside Terraform: the state says so, and
// there is nothing left to promote.
func TestSwitchedFromOutside(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		hold := attributes{"promote": "false"}
		h.run(
			resource.TestStep{Config: h.config(version("1.0.0"))},
			resource.TestStep{
				Config:            h.config(version("2.0.0"), hold),
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			},
			resource.TestStep{
				PreConfig: h.outside(
					func(ctx context.Context, ada *bluegreen.Deployer) error { return ada.Switch(ctx) },
				),
				Config: h.config(version("2.0.0"), hold),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectEmptyPlan(),
				}},
				ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0"), stateHas(text("blue"), "live_environment")},
			},
			resource.TestStep{
				Config: h.config(version("2.0.0")),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{planHas(text("deploy-2"), "deployment_id")},
				},
				ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
			},
		)
	})
}

// The deployment is removed outside Terraform: it is gone from the state and created again.
func TestDestroyedFromOutside(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		h.run(
			resource.TestStep{Config: h.config(version("1.0.0"))},
			resource.TestStep{
				PreConfig: h.outside(
					func(ctx context.Context, ada *bluegreen.Deployer) error { return ada.Destroy(ctx) },
				),
				Config: h.config(version("1.0.0")),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{planIs(plancheck.ResourceActionCreate)},
				},
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			},
		)
	})
}

// rollBackSteps returns the steps after which a deployment is rolled back from 2.0.0 to 1.0.0, and
// the configuration of that.
func (h *harness) rollBackSteps() (rollBack string, steps []resource.TestStep) {
	rollBack = h.config(version("2.0.0"), rollback(true))
	return rollBack, []resource.TestStep{
		{Config: h.config(version("1.0.0"))},
		{Config: h.config(version("2.0.0"))},
		{Config: rollBack, ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")}},
	}
}

// A destroy is interrupted of a deployment that is rolled back. There is nothing
// to roll back to any more, but destroying it again works.
func TestDestroyedByHalf(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	rollBack, steps := h.rollBackSteps()
	h.run(append(steps,
		resource.TestStep{
			PreConfig: func() {
				ada := h.outsider()
				ada.Platform = unremovable{ada.Platform}
				if err := ada.Destroy(t.Context()); !errors.Is(err, errUnremovable) {
					t.Fatalf("the destroy ended with %v", err)
				}
			},
			Config:             rollBack,
			PlanOnly:           true,
			ExpectNonEmptyPlan: true,
		},
		resource.TestStep{
			Config: rollBack,
			ExpectError: regexp.MustCompile(
				`(?s)Error:.*there\s+is\s+nothing\s+to\s+roll\s+back\s+to.*Nothing\s+serves`,
			),
		},
		resource.TestStep{Config: rollBack, Destroy: true},
	)...)
}

// A deployment that is rolled back has gone. To destroy it, Terraform plans a create first, which
// would fail.
func TestDestroyedAfterItHasGone(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	rollBack, steps := h.rollBackSteps()
	h.run(append(steps,
		resource.TestStep{
			PreConfig: h.outside(
				func(ctx context.Context, ada *bluegreen.Deployer) error { return ada.Destroy(ctx) },
			),
			Config:             rollBack,
			PlanOnly:           true,
			ExpectNonEmptyPlan: true,
		},
		resource.TestStep{Config: rollBack, Destroy: true},
		resource.TestStep{
			Config:      rollBack,
			ExpectError: regexp.MustCompile(`(?s)Error: There\s+is\s+nothing\s+to\s+roll\s+back\s+to`),
		},
	)...)
}

// What is left of a deployment is no reason not to destroy it, or to begin afresh,
// elsewhere: its addresses have gone.
func TestDestroyedByHalfAndThen(t *testing.T) {
	t.Parallel()
	for _, then := range []resource.TestStep{{Destroy: true}, {}} {
		h := newLocalHarness(t)
		image := filepath.Join(t.TempDir(), "service")
		if err := os.Link(h.image(), image); err != nil {
			t.Fatal(err)
		}
		then.Config = h.config(attributes{"image": fmt.Sprintf("%q", image)})
		then.PreConfig = func() {
			ada := h.outsider()
			ada.Platform = unremovable{ada.Platform}
			if err := ada.Destroy(t.Context()); !errors.Is(err, errUnremovable) {
				t.Fatalf("the destroy ended with %v", err)
			}
			if then.Destroy {
				if err := os.Remove(image); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !then.Destroy {
			then.ConfigPlanChecks.PreApply = []plancheck.PlanCheck{
				planHasUnknown("endpoint"),
				planHasUnknown("preview_endpoint"),
			}
			then.ConfigStateChecks = []statecheck.StateCheck{h.live("1.0.0")}
		}
		h.run(resource.TestStep{Config: then.Config}, then)
	}
}

// unremovable is a platform whose instances cannot be removed.
type unremovable struct{ bluegreen.Platform }

var errUnremovable = errors.New("it does not go away")

func (unremovable) Remove(context.Context, bluegreen.Environment) error { return errUnremovable }
