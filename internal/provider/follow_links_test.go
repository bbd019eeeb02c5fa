// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// A Python venv has links to the interpreter of the machine. A plan refuses it and names the
// setting with which it is deployed. Then the release has an interpreter of its own.
func TestDirectoryWithLinksToItsInterpreter(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	venv := filepath.Join(t.TempDir(), "venv")
	python := filepath.Join(venv, "bin", "python3")
	err := errors.Join(os.MkdirAll(filepath.Dir(python), 0o755), os.Symlink(h.service, python),
		os.Symlink("python3", filepath.Join(venv, "bin", "python")))
	if err != nil {
		t.Fatal(err)
	}
	image := attributes{"image": fmt.Sprintf("%q", venv), "command": `["bin/python"]`}
	following := attributes{"local": "{ follow_links = true }"}
	// Terraform breaks lines.
	refusal := regexp.MustCompile(`(?s)link\s+"bin/python3"\s+to.*leads\s+out.*local\.follow_links`)
	h.run(
		// The plan of a create warns of what may be otherwise when its apply begins.
		resource.TestStep{Config: h.config(version("1.0.0"), image), ExpectError: refusal},
		resource.TestStep{
			Config:            h.config(version("1.0.0")),
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
		resource.TestStep{
			Config:      h.config(version("2.0.0"), image),
			PlanOnly:    true,
			ExpectError: refusal,
		},
		resource.TestStep{
			Config:            h.config(version("2.0.0"), image, following),
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
		},
		resource.TestStep{
			Config: h.config(version("2.0.0"), image, following),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
			},
		},
		resource.TestStep{
			// What is deployed does not need the interpreter of the machine any more.
			PreConfig: func() {
				if err := os.Remove(h.service); err != nil {
					t.Fatal(err)
				}
			},
			Config: h.config(version("2.0.0"), image, following, attributes{"replicas": "2"}),
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("2.0.0"), stateHas(number(2), "environments", "blue", "ready_replicas"),
			},
		},
	)
}

// A release that does not follow links has the fingerprint that it had before there was this setting.
func TestSettingsOfAReleaseThatFollowsNoLinks(t *testing.T) {
	t.Parallel()
	for _, unset := range []types.Bool{types.BoolNull(), types.BoolValue(false)} {
		settings, diags := processModel{FollowLinks: unset, Umask: types.StringValue("027")}.settings(t.Context())
		if len(diags) > 0 || settings.Identity() != `{"umask":"027"}` {
			t.Errorf("%v: the settings are %v, %v", unset, settings.Identity(), diags)
		}
		if settings, _ := (processModel{FollowLinks: unset}).settings(t.Context()); settings != nil {
			t.Errorf("%v alone is a setting: %v", unset, settings.Identity())
		}
	}
}
