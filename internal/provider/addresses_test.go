// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"net"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

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

// A deployment that listens on loopback is opened to all addresses, at the same port.
func TestOpensToAllAddresses(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	testOpening(
		h.harness,
		func(listen string) attributes { return attributes{"local": fmt.Sprintf("{ listen = %q }", listen)} },
	)
}

// testOpening runs that test with the block of a platform for an address.
func testOpening(h *harness, at func(listen string) attributes) {
	loopback := freeAddress(h.t)
	_, port, err := net.SplitHostPort(loopback)
	if err != nil {
		h.t.Fatal(err)
	}
	endpoint := text("http://" + loopback)
	opened := at("0.0.0.0:" + port)
	h.run(
		resource.TestStep{
			Config: h.config(version("1.0.0"), at(loopback)),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planHas(endpoint, "endpoint"), planHasUnknown("preview_endpoint"),
			}},
		},
		resource.TestStep{
			Config: h.config(version("2.0.0"), opened),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate), planHas(endpoint, "endpoint"),
				planHas(knownvalue.NotNull(), "preview_endpoint"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0"), stateHas(endpoint, "endpoint")},
		},
		resource.TestStep{
			Config:            h.config(version("3.0.0"), opened),
			ConfigStateChecks: []statecheck.StateCheck{h.live("3.0.0"), stateHas(endpoint, "endpoint")},
		},
		// Without an address of its own the deployment is on loopback, as by default.
		resource.TestStep{
			Config: h.config(version("3.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate), planHasUnknown("endpoint"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{h.live("3.0.0")},
		},
		resource.TestStep{
			PreConfig: func() { h.requireFree("0.0.0.0:" + port) },
			Config:    h.config(version("3.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
			},
		},
	)
}

// requireFree fails the test unless nothing listens on address.
func (h *harness) requireFree(address string) {
	h.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		h.t.Fatal(err)
	}
	listener.Close()
}

// freeAddress returns an address on this machine on which nothing listens.
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
