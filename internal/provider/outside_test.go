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

// Somebody brings the preview live without Terraform: the state says so, and
// there is nothing left to promote.
func TestSwitchedFromOutside(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		hold := attributes{"promote": "false"}
		w.play(
			resource.TestStep{Config: w.config(version("1.0.0"))},
			resource.TestStep{Config: w.config(version("2.0.0"), hold), ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")}},
			resource.TestStep{
				PreConfig: w.outside(func(ctx context.Context, ada *bluegreen.Deployer) error { return ada.Switch(ctx) }),
				Config:    w.config(version("2.0.0"), hold),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectEmptyPlan(),
				}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0"), has(text("blue"), "live_environment")},
			},
			resource.TestStep{
				Config:            w.config(version("2.0.0")),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plans(text("deploy-2"), "deployment_id")}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0")},
			},
		)
	})
}

// Somebody removes the deployment: it is gone from the state and made again.
func TestDestroyedFromOutside(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		w.play(
			resource.TestStep{Config: w.config(version("1.0.0"))},
			resource.TestStep{
				PreConfig:         w.outside(func(ctx context.Context, ada *bluegreen.Deployer) error { return ada.Destroy(ctx) }),
				Config:            w.config(version("1.0.0")),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action(plancheck.ResourceActionCreate)}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")},
			},
		)
	})
}

// A destroy is interrupted of a deployment that is rolled back. There is nothing
// to roll back to any more, but destroying it again works.
func TestDestroyedByHalf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	undone := w.config(version("2.0.0"), rollback(true))
	w.play(
		resource.TestStep{Config: w.config(version("1.0.0"))},
		resource.TestStep{Config: w.config(version("2.0.0"))},
		resource.TestStep{Config: undone, ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")}},
		resource.TestStep{
			PreConfig: func() {
				ada := w.outsider()
				ada.Platform = unremovable{ada.Platform}
				if err := ada.Destroy(t.Context()); !errors.Is(err, errUnremovable) {
					t.Fatalf("the destroy ended with %v", err)
				}
			},
			Config:             undone,
			PlanOnly:           true,
			ExpectNonEmptyPlan: true,
		},
		resource.TestStep{
			Config:      undone,
			ExpectError: regexp.MustCompile(`(?s)Error:.*there\s+is\s+nothing\s+to\s+roll\s+back\s+to.*Nothing\s+serves`),
		},
		resource.TestStep{Config: undone, Destroy: true},
	)
}

// What is left of a deployment is no reason not to destroy it, or to begin afresh,
// elsewhere: its addresses have gone.
func TestDestroyedByHalfAndThen(t *testing.T) {
	t.Parallel()
	for _, then := range []resource.TestStep{{Destroy: true}, {}} {
		w := newWorld(t)
		image := filepath.Join(t.TempDir(), "service")
		if err := os.Link(w.image(), image); err != nil {
			t.Fatal(err)
		}
		then.Config = w.config(attributes{"image": fmt.Sprintf("%q", image)})
		then.PreConfig = func() {
			ada := w.outsider()
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
			then.ConfigPlanChecks.PreApply = []plancheck.PlanCheck{leavesOpen("endpoint"), leavesOpen("preview_endpoint")}
			then.ConfigStateChecks = []statecheck.StateCheck{w.live("1.0.0")}
		}
		w.play(resource.TestStep{Config: then.Config}, then)
	}
}

// unremovable is a platform whose instances cannot be removed.
type unremovable struct{ bluegreen.Platform }

var errUnremovable = errors.New("it does not go away")

func (unremovable) Remove(context.Context, bluegreen.Environment) error { return errUnremovable }
