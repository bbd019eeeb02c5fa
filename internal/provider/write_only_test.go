// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// The replicas get the write-only variables, and those of the next version of them with the
// next deploy. The health check has its write-only header. An error hides their values.
func TestWriteOnlyVariablesReachTheReplicas(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		secret := func(secret, replica, number string) attributes {
			return attributes{
				"env_wo":         `{ SECRET = "` + secret + `", REPLICA = "` + replica + `" }`,
				"env_wo_version": number,
				"health_check": `{ interval = "100ms", http = { path = "/healthz",
					headers_wo = { Probe-Token = "open-sesame" }, headers_wo_version = 1 } }`,
			}
		}
		h.run(
			resource.TestStep{
				Config:            h.config(secret("correct-horse", guarded, "1")),
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			},
			resource.TestStep{
				Config: h.config(secret("another-value", guarded, "1")),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
				},
			},
			resource.TestStep{
				Config:      h.config(secret("battery-staple", exits, "2")),
				ExpectError: regexp.MustCompile(`no database \*\*\*\n`),
			},
			resource.TestStep{
				Config: h.config(secret("another-value", guarded, "1")),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
				},
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			},
		)
	})
}

const writeOnlySecret = "correct-horse-battery-staple"

// The value comes from an ephemeral variable, and is in nothing that Terraform writes: not
// in a saved plan, not in the state, also after a replica has answered with it. It is in no
// ledger either.
func TestWriteOnlyVariablesAreKeptNowhere(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	c := h.terraform()
	const variable = `variable "password" {
	type      = string
	ephemeral = true
}
`
	secret := attributes{
		"env_wo": "{ SECRET = var.password }", "env_wo_version": "1",
		"health_check": `{ http = { path = "/healthz" }, interval = "20ms" }`,
	}
	c.write(variable + h.config(version("1.0.0"), secret))
	c.env = append(c.env, "TF_VAR_password="+writeOnlySecret)
	c.must("plan", "-out=saved.plan")
	mustNotContain(t, "the plan", c.must("show", "-json", "saved.plan"))
	mustNotContain(t, "the apply", c.must("apply", "saved.plan"))
	h.answers("1.0.0")

	// The refresh of an unhealthy standby does not know the values, so it cannot mask them.
	h.tellLive("/sicken")
	c.apply(variable + h.config(version("2.0.0"), secret))
	h.awaitBlockedRollback()
	mustNotContain(t, "the refresh", c.must("apply", "-refresh-only", "-auto-approve"))
	mustContain(t, c.must("show"), "0 of 1 replicas of the standby can take the traffic")

	err := filepath.WalkDir(c.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		mustNotContain(t, path, string(content))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range h.files() {
		// What replicas answer is beside the ledger, for the agent alone.
		if name != "unhealthy.json" {
			mustNotContain(t, name, content)
		}
	}
}

// mustNotContain fails the test if the secret is in what is called what.
func mustNotContain(t *testing.T, what, text string) {
	t.Helper()
	if strings.Contains(text, writeOnlySecret) {
		t.Errorf("%s contains %q", what, writeOnlySecret)
	}
}
