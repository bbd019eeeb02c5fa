// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
)

// What is not known yet leaves open what depends on it, and the apply goes on.
func TestUnknownVersion(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	computed := func(value string, more ...attributes) string {
		return "resource \"terraform_data\" \"version\" {\n  input = \"" + value + "\"\n}\n" +
			h.config(append(more, attributes{"version": "terraform_data.version.output"})...)
	}
	h.run(
		resource.TestStep{
			Config: computed("1.0.0"),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planHasUnknown("live_environment"), planHasUnknown("environments"), planHas(text("web"), "id"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
		resource.TestStep{
			Config: computed("2.0.0"),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{
					planHasUnknown("live_version"),
					planHas(knownvalue.NotNull(), "endpoint"),
				},
			},
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
		},
		resource.TestStep{
			// No preview takes the place of live.
			Config: computed("3.0.0", attributes{"promote": "false"}),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{
					planHas(text("2.0.0"), "live_version"),
					planHas(text("2.0.0"), "environments", "blue", "version"),
					planHas(text("deploy-2"), "deployment_id"),
					planHasUnknown("environments", "green"),
				},
			},
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0"), h.preview("3.0.0")},
		},
	)
}

// The router's settings may be those of another resource.
func TestUnknownRouterSettings(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	const other = `resource "terraform_data" "front" {
		input = { net = "10.0.0.0/8", body = "1k", time = "5s" }
	}`
	h.run(resource.TestStep{
		Config: other + "\n" +
			h.config(attributes{"local": `{
				trusted_proxies  = ["127.0.0.1/32", terraform_data.front.output.net]
				proxy_protocol   = terraform_data.front.output.net == ""
				max_body         = terraform_data.front.output.body
				response_timeout = terraform_data.front.output.time
			}`}),
		ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
			planHasUnknown("local", "max_body"), planHas(text("green"), "live_environment"),
		}},
		ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		Check: func(*terraform.State) error {
			return h.requireStored(`{"response_timeout_ns": 5000000000, "max_body": 1024,
				"trusted_proxies": ["127.0.0.1/32", "10.0.0.0/8"]}`)
		},
	})
}

// A name may be one that another resource makes up.
func TestUnknownName(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		config := "resource \"terraform_data\" \"name\" {\n  input = \"" + h.name + "\"\n}\n" + h.config(
			attributes{"name": "terraform_data.name.output"},
		)
		h.run(resource.TestStep{
			Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionCreate), planHasUnknown("id"), planHasUnknown("live_environment"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0"), stateHas(text(h.id(h.name)), "id")},
		})
	})
}

// Which platform it is may be known only when the apply gets there.
func TestUnknownPlatform(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	there := "terraform_data.there.output == \"docker\""
	h.run(
		resource.TestStep{
			Config: "resource \"terraform_data\" \"there\" {\n  input = \"here\"\n}\n" +
				h.config(
					attributes{
						"local":  there + ` ? null : { protocol = "http" }`,
						"docker": there + " ? { port = 8080 } : null",
					},
				),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionCreate),
				planHasUnknown("id"), planHasUnknown("live_environment"), planHasUnknown("replicas"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("1.0.0"),
				stateHas(text("http"), "local", "protocol"),
				stateHas(knownvalue.Null(), "docker"),
			},
		},
		resource.TestStep{
			Config: h.config(attributes{"local": `{ protocol = "http" }`}),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				plancheck.ExpectResourceAction(address, plancheck.ResourceActionNoop),
			}},
		},
	)
}

// Where a platform is may be known only when the apply gets there. A deployment
// that exists is not looked for anywhere else meanwhile.
func TestUnknownProvider(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		kind, block, _ := strings.Cut(h.providerBlock(), " = ")
		after := func(input string) string {
			return "resource \"terraform_data\" \"there\" {\n  input = \"" + input + "\"\n}\n" +
				"provider \"bluegreen\" {\n  " + kind + " = terraform_data.there.output == \"\" ? null : " +
				block + "\n}\n" +
				h.resource("web")
		}
		h.run(
			resource.TestStep{
				Config: after("here"),
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{planIs(plancheck.ResourceActionCreate)},
				},
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			},
			resource.TestStep{Config: after("here still"), ExpectError: regexp.MustCompile(`not\s+known\s+yet`)},
			resource.TestStep{
				Config: after("here"),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plancheck.ExpectResourceAction(address, plancheck.ResourceActionNoop),
				}},
			},
		)
	})
}

// Terraform validates with every variable unknown: nothing is wrong with a value
// that is not known yet.
func TestUnknownTimes(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	variables := `
variable "check" { default = "5s" }
variable "tries" { default = 1 }
variable "bake" { default = "1s" }
variable "long" { default = "2h" }
`
	h.run(
		resource.TestStep{Config: variables + h.config(attributes{
			"health_check": `{ http = { path = "/healthz" }, ` +
				`timeout = var.check, retries = var.tries, interval = "100ms" }`,
			"bake_time": "var.bake",
			"timeouts":  `{ create = "11s", update = "11s" }`,
		})},
		resource.TestStep{Config: variables + h.config(attributes{
			"health_check": `{ http = { path = "/healthz" }, timeout = "25m", interval = "100ms" }`,
			"timeouts":     `{ create = var.long, update = "11h" }`,
		})},
		resource.TestStep{
			Config: variables + h.config(attributes{
				"health_check": `{ http = { path = "/healthz" }, timeout = var.long, interval = "100ms" }`,
			}),
			ExpectError: regexp.MustCompile(`cannot\s+end\s+in\s+time`),
		},
	)
}
