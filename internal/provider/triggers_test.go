// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func triggers(build string) attributes { return attributes{"triggers": `{ build = "` + build + `" }`} }

// The same version is deployed once more, to new replicas, although nothing else differs. A third
// deploy goes to the environment that had the first one: those replicas are new as well.
func TestTriggersDeployTheSameVersionOnceMore(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		seen := map[string]bool{}
		requireNew := func(env bluegreen.Environment) func(*terraform.State) error {
			return func(*terraform.State) error {
				for _, instance := range h.instances(env) {
					if seen[instance.Incarnation] {
						t.Errorf("%s in %s ran before", instance.ID, env)
					}
					seen[instance.Incarnation] = true
				}
				return nil
			}
		}
		deploys := func(build string) resource.TestStep {
			return resource.TestStep{
				Config: h.config(version("1.0.0"), triggers(build)),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{
						planIs(plancheck.ResourceActionUpdate), planHasUnknown("deployment_id"),
					},
					PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
				},
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			}
		}
		first := resource.TestStep{Config: h.config(version("1.0.0")), Check: requireNew(bluegreen.Green)}
		second, third := deploys("b"), deploys("c")
		second.Check, third.Check = requireNew(bluegreen.Blue), requireNew(bluegreen.Green)
		h.run(first, second, third)
	})
}

// What is behind the image changes, and with it the triggers: the new content serves, and a
// rollback brings back the former one.
func TestTriggersDeployNewContent(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	content, err := os.ReadFile(h.service)
	if err != nil {
		t.Fatal(err)
	}
	image := filepath.Join(filepath.Dir(h.service), "built")
	build := func(name string) {
		t.Helper()
		text := strings.Replace(string(content), "exec", "BLUEGREEN_VERSION="+name+" exec", 1)
		if err := os.WriteFile(image, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	hashed := attributes{"image": `"` + image + `"`, "triggers": `{ build = filesha256("` + image + `") }`}
	tf := h.terraform()
	build("first")
	tf.apply(h.config(version("1.0.0"), hashed))
	h.answers("first")
	build("second")
	tf.apply(h.config(version("1.0.0"), hashed))
	h.answers("second")
	tf.must("plan", "-detailed-exitcode")
	tf.apply(h.config(version("1.0.0"), hashed, rollback(true)))
	h.answers("first")
	build("third")
	tf.write(h.config(version("1.0.0"), hashed, rollback(true)))
	mustContain(t, tf.mustFail("plan"),
		"A new release cannot be rolled back", "Changed since the last apply: triggers.")
	h.answers("first")
	// Terraform plans before it destroys.
	build("second")
}

// Another path to the same content is no new release, and another content is one.
func TestAnotherPathToTheSameImage(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	content, err := os.ReadFile(h.service)
	if err != nil {
		t.Fatal(err)
	}
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(tf.dir, "service"), []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	misspelt := attributes{"local": `{ listn = "127.0.0.1:80" }`}
	mustContain(t, tf.apply(h.config(version("1.0.0"), misspelt)),
		"The deployment listens on a free port", "clients find the deployment at "+h.status().Endpoint+". To choose")

	relative := h.config(version("1.0.0"), attributes{"image": `"./service"`, "local": "{}"})
	write(string(content))
	tf.write(relative)
	tf.must("plan", "-detailed-exitcode")
	write(string(content) + "# changed\n")
	mustContain(t, tf.must("plan"), `-> "./service"`, `~ live_environment = "green" -> "blue"`)
	h.answers("1.0.0")
}

// A protected deployment outlives every way to destroy it, and says how to allow it.
func TestDeletionProtection(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	protected := attributes{"deletion_protection": "true"}
	tf.apply(h.config(version("1.0.0"), protected))
	refused := []string{
		"The deployment is protected from being destroyed", `"web", which serves 1.0.0, has deletion_protection = true`,
		"set deletion_protection = false, apply, and then destroy it",
	}
	mustContain(t, tf.mustFail("destroy", "-auto-approve"), refused...)
	mustContain(t, tf.mustFail("apply", "-auto-approve", "-replace=bluegreen_deployment.web"), refused...)
	tf.write(h.config(version("1.0.0"), protected, attributes{"name": `"other"`}))
	mustContain(t, tf.mustFail("plan"), refused...)
	tf.write(h.providerConfig())
	mustContain(t, tf.mustFail("apply", "-auto-approve"), refused...)
	h.answers("1.0.0")
	tf.apply(h.config(version("2.0.0"), protected))
	h.answers("2.0.0")

	unprotected := h.config(version("2.0.0"), attributes{"deletion_protection": "false"})
	tf.apply(unprotected)
	tf.must("destroy", "-auto-approve")
	if err := h.requireGone(); err != nil {
		t.Error(err)
	}
}
