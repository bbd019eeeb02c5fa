// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"net"
	"regexp"
	"strings"
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

// What is not known yet leaves open what depends on it, and the apply goes on.
func TestUnknownVersion(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	computed := func(value string) string {
		return "resource \"terraform_data\" \"version\" {\n  input = \"" + value + "\"\n}\n" +
			h.config(attributes{"version": "terraform_data.version.output"})
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
	)
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

// Another name is another deployment: the old one goes, the new one comes, and may
// be where the old one was.
func TestRename(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"", freeAddress(t)} {
		h := newLocalHarness(t)
		where := attributes{"local": fmt.Sprintf("{ listen = %q }", listen)}
		if listen == "" {
			where = attributes{}
		}
		h.run(
			resource.TestStep{Config: h.config(version("1.0.0"), where)},
			resource.TestStep{
				Config: h.config(version("1.0.0"), where, attributes{"name": `"shop"`}),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					planIs(
						plancheck.ResourceActionReplace,
					),
					planHas(text("shop"), "id"),
					planHas(text("green"), "live_environment"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			},
		)
	}
}

// What was tried out on loopback is opened to everybody, at the same port.
func TestOpensToEverybody(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	opensToEverybody(
		h.harness,
		func(listen string) attributes { return attributes{"local": fmt.Sprintf("{ listen = %q }", listen)} },
	)
}

// opensToEverybody runs that test with the block of a platform for an address.
func opensToEverybody(h *harness, at func(listen string) attributes) {
	loopback := freeAddress(h.t)
	_, port, err := net.SplitHostPort(loopback)
	if err != nil {
		h.t.Fatal(err)
	}
	endpoint := text("http://" + loopback)
	opened := at("0.0.0.0:" + port)
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"), at(loopback))},
		resource.TestStep{
			Config: h.config(version("2.0.0"), opened),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate), planHasUnknown("endpoint"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0"), stateHas(endpoint, "endpoint")},
		},
		resource.TestStep{
			Config:            h.config(version("3.0.0"), opened),
			ConfigStateChecks: []statecheck.StateCheck{h.live("3.0.0"), stateHas(endpoint, "endpoint")},
		},
	)
}

// freeAddress is one on this machine that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	return listener.Addr().String()
}

// Terraform validates with every variable unknown: nothing is wrong with a value
// that nobody knows yet.
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
