// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The settings of the router change while it serves: the replicas stay, and so do the
// connections of clients.
func TestRouterSettingsChangeInPlace(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	visitor := newKeptConnection(t)
	changed := h.config(attributes{
		"local": `{
			response_timeout = "5s"
			max_body         = "10m"
			max_connections  = 100
			trusted_proxies  = ["10.0.0.0/8"]
		}`,
	})
	var before []bluegreen.Instance
	h.run(
		resource.TestStep{
			Config: h.config(attributes{"local": `{}`}),
			Check: func(*terraform.State) error {
				before = h.instances(bluegreen.Green)
				visitor.visit(h.status().Endpoint)
				return h.requireStored(`{"response_timeout_ns": 60000000000}`)
			},
		},
		resource.TestStep{
			Config: changed,
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate),
				planHas(text("deploy-1"), "deployment_id"),
				planHas(knownvalue.NotNull(), "endpoint"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
			Check: func(*terraform.State) error {
				if after := h.instances(bluegreen.Green); !reflect.DeepEqual(after, before) {
					t.Errorf("the replicas were %v and are %v", before, after)
				}
				if !visitor.visit(h.status().Endpoint) {
					t.Error("the connection of a client was closed")
				}
				return h.requireStored(`{"response_timeout_ns": 5000000000, "max_body": 10485760,
					"max_connections": 100, "trusted_proxies": ["10.0.0.0/8"]}`)
			},
		},
		resource.TestStep{
			Config: changed,
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{planIs(plancheck.ResourceActionNoop)},
			},
		},
		resource.TestStep{
			Config: h.config(attributes{"local": `{ response_timeout = "0s" }`}),
			Check:  func(*terraform.State) error { return h.requireStored(`{}`) },
		},
	)
}

// instances returns the replicas of an environment.
func (h *harness) instances(env bluegreen.Environment) []bluegreen.Instance {
	h.t.Helper()
	list, err := h.outsider().Platform.Instances(h.t.Context(), env)
	if err != nil {
		h.t.Fatal(err)
	}
	return list
}

// requireStored returns an error unless the agent has stored these settings of the router,
// and no others.
func (h localHarness) requireStored(settings string) error {
	h.t.Helper()
	var want map[string]any
	if err := json.Unmarshal([]byte(settings), &want); err != nil {
		return err
	}
	var stored struct {
		Frontend map[string]any `json:"frontend"`
	}
	readJSON(h.t, filepath.Join(h.stateDir, "deployments", h.name, "ledger.json"), &stored)
	for _, setting := range []string{"response_timeout_ns", "max_body", "max_connections", "trusted_proxies"} {
		if got := stored.Frontend[setting]; !reflect.DeepEqual(got, want[setting]) {
			return fmt.Errorf("the agent has stored %s = %v, not %v", setting, got, want[setting])
		}
	}
	return nil
}

// keptConnection is a client that keeps its connection open.
type keptConnection struct {
	t      *testing.T
	client http.Client
}

func newKeptConnection(t *testing.T) *keptConnection {
	c := &keptConnection{t, http.Client{Transport: &http.Transport{}}}
	t.Cleanup(c.client.CloseIdleConnections)
	return c
}

// visit makes a request, and reports whether the connection of the one before was used.
func (c *keptConnection) visit(endpoint string) (reused bool) {
	c.t.Helper()
	ctx := httptrace.WithClientTrace(c.t.Context(), &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) { reused = info.Reused },
	})
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, endpoint, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	response, err := c.client.Do(request)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil || response.StatusCode != http.StatusOK {
		c.t.Errorf("%s: %v", response.Status, err)
	}
	return reused
}
