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
	everywhere(t, func(w *world) {
		w.play(
			resource.TestStep{Config: w.config(version("1.0.0"))},
			resource.TestStep{Config: w.config(version("2.0.0"))},
			resource.TestStep{
				Config: w.config(version("2.0.0"), attributes{"replicas": "3"}),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					action(plancheck.ResourceActionUpdate),
					plans(text("deploy-2"), "deployment_id"),
					plans(number(3), "environments", "blue", "replicas"),
					plans(number(3), "environments", "green", "replicas"),
					leavesOpen("environments", "blue", "ready_replicas"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{
					w.live("2.0.0"),
					has(number(3), "environments", "blue", "ready_replicas"),
					has(number(3), "environments", "green", "ready_replicas"),
					has(knownvalue.Bool(true), "rollback_available"),
				},
			},
			resource.TestStep{
				Config: w.config(version("2.0.0"), attributes{"replicas": "1"}),
				ConfigStateChecks: []statecheck.StateCheck{
					w.live("2.0.0"),
					has(number(1), "environments", "blue", "ready_replicas"),
					has(number(1), "environments", "green", "ready_replicas"),
				},
			},
		)
	})
}

// promote = false stops at a healthy preview; true later brings it live.
func TestPreviewThenPromote(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		hold, promote := attributes{"promote": "false"}, attributes{"promote": "true"}
		w.play(
			resource.TestStep{
				Config: w.config(version("1.0.0"), hold),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plans(knownvalue.Null(), "live_environment"),
					plans(knownvalue.Null(), "deployment_id"),
					plans(text("ready"), "environments", "green", "state"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{w.preview("1.0.0"), has(knownvalue.Null(), "live_version")},
			},
			resource.TestStep{
				Config:            w.config(version("1.0.0"), promote),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plans(text("green"), "live_environment")}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")},
			},
			resource.TestStep{
				Config: w.config(version("2.0.0"), hold),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plans(text("green"), "live_environment"),
					plans(text("deploy-1"), "deployment_id"),
					plans(text("2.0.0"), "environments", "blue", "version"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0"), w.preview("2.0.0")},
			},
			resource.TestStep{
				Config: w.config(version("2.0.0"), promote),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plans(text("blue"), "live_environment"),
					plans(knownvalue.Bool(true), "rollback_available"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0"), w.preview("1.0.0")},
			},
			resource.TestStep{
				// Taking promote back is no rollback.
				Config:            w.config(version("2.0.0"), hold),
				ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0")},
			},
		)
	})
}

// standby = "remove" leaves nothing to roll back to.
func TestStandbyRemove(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		remove := attributes{"standby": `"remove"`}
		w.play(
			resource.TestStep{Config: w.config(version("1.0.0"), remove)},
			resource.TestStep{
				Config: w.config(version("2.0.0"), remove),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					plans(knownvalue.Null(), "environments", "green", "version"),
					plans(number(0), "environments", "green", "ready_replicas"),
					plans(knownvalue.Bool(false), "rollback_available"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0"), has(number(0), "environments", "green", "replicas")},
			},
			resource.TestStep{
				Config:      w.config(version("2.0.0"), remove, rollback(true)),
				ExpectError: regexp.MustCompile(`nothing to roll back to`),
			},
			resource.TestStep{
				Config:            w.config(version("3.0.0")),
				ConfigStateChecks: []statecheck.StateCheck{w.live("3.0.0"), w.preview("2.0.0")},
			},
			resource.TestStep{
				// Removing it later is a change of its own.
				Config:            w.config(version("3.0.0"), remove),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plans(text("green"), "live_environment"), plans(text("deploy-3"), "deployment_id")}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("3.0.0"), has(knownvalue.Null(), "environments", "blue", "version")},
			},
		)
	})
}

// Settings that change nothing that runs are taken over, and the plan shows
// nothing else.
func TestSettingsOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.play(
		resource.TestStep{Config: w.config(version("1.0.0"))},
		resource.TestStep{
			Config: w.config(version("1.0.0"), attributes{"drain_timeout": `"7s"`, "history_limit": "3"}),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				action(plancheck.ResourceActionUpdate),
				plans(text("deploy-1"), "deployment_id"),
				plans(number(1), "environments", "green", "ready_replicas"),
				plans(knownvalue.NotNull(), "endpoint"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")},
		},
		resource.TestStep{
			Config:            w.config(version("1.0.0"), attributes{"local": `{ protocol = "tcp" }`}),
			ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{leavesOpen("endpoint")}},
			ConfigStateChecks: []statecheck.StateCheck{has(knownvalue.StringRegexp(regexp.MustCompile(`^tcp://127\.0\.0\.1:\d+$`)), "endpoint")},
		},
	)
}

// What is not known yet leaves open what depends on it, and the apply goes on.
func TestUnknownVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	computed := func(value string) string {
		return "resource \"terraform_data\" \"version\" {\n  input = \"" + value + "\"\n}\n" +
			w.config(attributes{"version": "terraform_data.version.output"})
	}
	w.play(
		resource.TestStep{
			Config: computed("1.0.0"),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				leavesOpen("live_environment"), leavesOpen("environments"), plans(text("web"), "id"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")},
		},
		resource.TestStep{
			Config:            computed("2.0.0"),
			ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{leavesOpen("live_version"), plans(knownvalue.NotNull(), "endpoint")}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0")},
		},
	)
}

// A name may be one that another resource makes up.
func TestUnknownName(t *testing.T) {
	t.Parallel()
	everywhere(t, func(w *world) {
		config := "resource \"terraform_data\" \"name\" {\n  input = \"" + w.name + "\"\n}\n" + w.config(attributes{"name": "terraform_data.name.output"})
		w.play(resource.TestStep{
			Config: config,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				action(plancheck.ResourceActionCreate), leavesOpen("id"), leavesOpen("live_environment"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0"), has(text(w.id(w.name)), "id")},
		})
	})
}

// Which platform it is may be known only when the apply gets there.
func TestUnknownPlatform(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	there := "terraform_data.there.output == \"docker\""
	w.play(
		resource.TestStep{
			Config: "resource \"terraform_data\" \"there\" {\n  input = \"here\"\n}\n" +
				w.config(attributes{"local": there + ` ? null : { protocol = "http" }`, "docker": there + " ? { port = 8080 } : null"}),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				action(plancheck.ResourceActionCreate),
				leavesOpen("id"), leavesOpen("live_environment"), leavesOpen("replicas"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0"), has(text("http"), "local", "protocol"), has(knownvalue.Null(), "docker")},
		},
		resource.TestStep{
			Config: w.config(attributes{"local": `{ protocol = "http" }`}),
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
	everywhere(t, func(w *world) {
		kind, block, _ := strings.Cut(w.providerBlock(), " = ")
		after := func(input string) string {
			return "resource \"terraform_data\" \"there\" {\n  input = \"" + input + "\"\n}\n" +
				"provider \"bluegreen\" {\n  " + kind + " = terraform_data.there.output == \"\" ? null : " + block + "\n}\n" +
				w.resource("web")
		}
		w.play(
			resource.TestStep{
				Config:            after("here"),
				ConfigPlanChecks:  resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action(plancheck.ResourceActionCreate)}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")},
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
		w := newWorld(t)
		where := attributes{"local": fmt.Sprintf("{ listen = %q }", listen)}
		if listen == "" {
			where = attributes{}
		}
		w.play(
			resource.TestStep{Config: w.config(version("1.0.0"), where)},
			resource.TestStep{
				Config: w.config(version("1.0.0"), where, attributes{"name": `"shop"`}),
				ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
					action(plancheck.ResourceActionReplace), plans(text("shop"), "id"), plans(text("green"), "live_environment"),
				}},
				ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0")},
			},
		)
	}
}

// What was tried out on loopback is opened to everybody, at the same port.
func TestOpensToEverybody(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	opensToEverybody(w.world, func(listen string) attributes { return attributes{"local": fmt.Sprintf("{ listen = %q }", listen)} })
}

// opensToEverybody plays that with the platform's block for where it listens.
func opensToEverybody(w *world, at func(listen string) attributes) {
	loopback := freeAddress(w.t)
	_, port, err := net.SplitHostPort(loopback)
	if err != nil {
		w.t.Fatal(err)
	}
	endpoint := text("http://" + loopback)
	opened := at("0.0.0.0:" + port)
	w.play(
		resource.TestStep{Config: w.config(version("1.0.0"), at(loopback))},
		resource.TestStep{
			Config: w.config(version("2.0.0"), opened),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				action(plancheck.ResourceActionUpdate), leavesOpen("endpoint"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("2.0.0"), has(endpoint, "endpoint")},
		},
		resource.TestStep{Config: w.config(version("3.0.0"), opened), ConfigStateChecks: []statecheck.StateCheck{w.live("3.0.0"), has(endpoint, "endpoint")}},
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
	w := newWorld(t)
	variables := `
variable "check" { default = "5s" }
variable "tries" { default = 1 }
variable "bake" { default = "1s" }
variable "long" { default = "2h" }
`
	w.play(
		resource.TestStep{Config: variables + w.config(attributes{
			"health_check": `{ http = { path = "/healthz" }, timeout = var.check, retries = var.tries, interval = "100ms" }`,
			"bake_time":    "var.bake",
			"timeouts":     `{ create = "11s", update = "11s" }`,
		})},
		resource.TestStep{Config: variables + w.config(attributes{
			"health_check": `{ http = { path = "/healthz" }, timeout = "25m", interval = "100ms" }`,
			"timeouts":     `{ create = var.long, update = "11h" }`,
		})},
		resource.TestStep{
			Config: variables + w.config(attributes{
				"health_check": `{ http = { path = "/healthz" }, timeout = var.long, interval = "100ms" }`,
			}),
			ExpectError: regexp.MustCompile(`cannot\s+end\s+in\s+time`),
		},
	)
}
