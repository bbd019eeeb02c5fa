// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/resource/schema"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/int64default"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/listdefault"
	"github.com/hashicorp/terraform-plugin-framework/resource/schema/stringdefault"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The shortcut answers while nothing changes, and leaves every change to the
// framework.
func TestShortcutAnswersWhileNothingChanges(t *testing.T) {
	t.Parallel()
	h, server := newLocalHarness(t), newComparingServer(t)
	answered := &server.shortcut.answered
	var upgrades, refreshes, plans int64
	unchanged := h.config(version("2.0.0"))
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: map[string]func() (tfprotov6.ProviderServer, error){
			"bluegreen": func() (tfprotov6.ProviderServer, error) { return server, nil },
		},
		CheckDestroy: func(*terraform.State) error { return h.requireGone() },
		Steps: []resource.TestStep{
			{Config: h.config(version("1.0.0"))},
			{Config: unchanged},
			{Config: unchanged, Check: resource.ComposeTestCheckFunc(server.checkIdentities, server.checkPrivateState)},
			{
				PreConfig: func() {
					upgrades = answered.upgrades.Load()
					refreshes, plans = answered.refreshes.Load(), answered.plans.Load()
				},
				Config:   unchanged,
				PlanOnly: true,
			},
			{
				PreConfig: func() {
					if answered.upgrades.Load() == upgrades || answered.refreshes.Load() == refreshes ||
						answered.plans.Load() == plans {
						t.Errorf("the shortcut has answered no more than %d upgrades, %d refreshes and %d plans",
							upgrades, refreshes, plans)
					}
					h.outside(func(ctx context.Context, d *bluegreen.Deployer) error {
						return d.Rollback(ctx, "slow")
					})()
				},
				Config:      unchanged,
				PlanOnly:    true,
				ExpectError: heldBack("slow"),
			},
		},
	})
}

// The comparison of two answers sees a difference in every field, and no difference in
// the order of the elements of a map.
func TestComparisonOfAnswers(t *testing.T) {
	t.Parallel()
	s := newShortcut(&bluegreenProvider{})
	encode := func(objectType tftypes.Type, attributes map[string]tftypes.Value) *tfprotov6.DynamicValue {
		t.Helper()
		object, _ := objectType.(tftypes.Object)
		values := map[string]tftypes.Value{}
		for name, attributeType := range object.AttributeTypes {
			values[name] = tftypes.NewValue(attributeType, nil)
		}
		maps.Copy(values, attributes)
		value, err := tfprotov6.NewDynamicValue(objectType, tftypes.NewValue(objectType, values))
		if err != nil {
			t.Fatal(err)
		}
		return &value
	}
	text := func(s string) tftypes.Value { return tftypes.NewValue(tftypes.String, s) }
	answer := func() *tfprotov6.PlanResourceChangeResponse {
		env := map[string]tftypes.Value{}
		for i := range 20 {
			env[fmt.Sprint(i)] = text("a")
		}
		return &tfprotov6.PlanResourceChangeResponse{
			PlannedState: encode(s.facts().objectType, map[string]tftypes.Value{
				"name": text("web"), "env": tftypes.NewValue(tftypes.Map{ElementType: tftypes.String}, env),
			}),
			PlannedPrivate: []byte(`{"ledger": "e30="}`),
			PlannedIdentity: &tfprotov6.ResourceIdentityData{
				IdentityData: encode(s.facts().identityType, map[string]tftypes.Value{"name": text("web")}),
			},
		}
	}
	if diff := compareAnswers(s.facts(), answer(), answer()); diff != "" {
		t.Errorf("the same answer twice:\n%s", diff)
	}
	for name, change := range map[string]func(*tfprotov6.PlanResourceChangeResponse){
		"another value of an attribute": func(r *tfprotov6.PlanResourceChangeResponse) {
			r.PlannedState = encode(s.facts().objectType, map[string]tftypes.Value{"name": text("web")})
		},
		"no state": func(r *tfprotov6.PlanResourceChangeResponse) { r.PlannedState = nil },
		"a null state": func(r *tfprotov6.PlanResourceChangeResponse) {
			r.PlannedState = dynamicJSON("null")
		},
		"another private state": func(r *tfprotov6.PlanResourceChangeResponse) { r.PlannedPrivate = []byte("{}") },
		"another identity": func(r *tfprotov6.PlanResourceChangeResponse) {
			r.PlannedIdentity.IdentityData = encode(s.facts().identityType, nil)
		},
		"no identity": func(r *tfprotov6.PlanResourceChangeResponse) { r.PlannedIdentity = nil },
		"a diagnostic": func(r *tfprotov6.PlanResourceChangeResponse) {
			r.Diagnostics = []*tfprotov6.Diagnostic{{Summary: "The plan is stale"}}
		},
		"a replacement": func(r *tfprotov6.PlanResourceChangeResponse) {
			r.RequiresReplace = []*tftypes.AttributePath{tftypes.NewAttributePath().WithAttributeName("name")}
		},
	} {
		changed := answer()
		change(changed)
		if compareAnswers(s.facts(), changed, answer()) == "" {
			t.Errorf("%s makes no difference", name)
		}
	}
}

// checkIdentities repeats the last refresh and plan as a Terraform does that stores
// identities: without one, with that of the deployment, and with another one.
func (c *comparingServer) checkIdentities(*terraform.State) error {
	ctx, req := context.Background(), *c.lastRefresh.Load()
	found, err := c.ReadResource(ctx, &req)
	if err != nil {
		return err
	}
	if req.CurrentIdentity = found.NewIdentity; req.CurrentIdentity == nil {
		return errors.New("a deployment has no identity")
	}
	before := c.shortcut.answered.refreshes.Load()
	if _, err := c.ReadResource(ctx, &req); err != nil {
		return err
	}
	if c.shortcut.answered.refreshes.Load() == before {
		return errors.New("the shortcut does not answer with the identity of the deployment")
	}
	another, err := tfprotov6.NewDynamicValue(c.shortcut.facts().identityType, tftypes.NewValue(
		c.shortcut.facts().identityType, map[string]tftypes.Value{
			"name":      tftypes.NewValue(tftypes.String, "another"),
			"platform":  tftypes.NewValue(tftypes.String, kindLocal),
			"namespace": tftypes.NewValue(tftypes.String, nil),
		}))
	if err != nil {
		return err
	}
	req.CurrentIdentity = &tfprotov6.ResourceIdentityData{IdentityData: &another}
	if found, err = c.ReadResource(ctx, &req); err == nil && len(found.Diagnostics) == 0 {
		err = errors.New("a deployment with the identity of another one is refreshed")
	}
	return err
}

// checkPrivateState repeats the last refresh with another private state: without the
// ledger, with another ledger, and with a second key. The answers are compared.
func (c *comparingServer) checkPrivateState(*terraform.State) error {
	var private privateKeys
	if err := json.Unmarshal(c.lastRefresh.Load().Private, &private); err != nil {
		return err
	}
	for _, keys := range []privateKeys{
		{}, {ledgerKey: []byte("{}")}, {ledgerKey: private[ledgerKey], "another": []byte("{}")},
	} {
		req := *c.lastRefresh.Load()
		var err error
		if req.Private, err = json.Marshal(keys); err != nil {
			return err
		}
		if _, err := c.ReadResource(context.Background(), &req); err != nil {
			return err
		}
	}
	return nil
}

// A setting that is removed from the configuration returns to its default, at any
// depth. Terraform proposes the prior state for it, so that only the default shows the
// difference.
func TestBackToTheDefault(t *testing.T) {
	t.Parallel()
	for name, setting := range map[string]attributes{
		"at the top":   {"switch_timeout": `"50s"`},
		"of the size":  {"replicas": "2"},
		"of the check": {"health_check": `{ http = { path = "/healthz" }, interval = "100ms", retries = 2 }`},
		"of the HTTP call": {
			"health_check": `{ http = { path = "/healthz", host = "example.org" }, interval = "100ms" }`,
		},
		"of the platform": {"local": `{ protocol = "tcp" }`},
	} {
		without := attributes{}
		if _, ok := setting["local"]; ok {
			without["local"] = "{}"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h, with := newLocalHarness(t), attributes{}
			maps.Copy(with, setting)
			h.run(
				resource.TestStep{Config: h.config(with)},
				resource.TestStep{
					Config: h.config(without),
					ConfigPlanChecks: resource.ConfigPlanChecks{
						PreApply: []plancheck.PlanCheck{planIs(plancheck.ResourceActionUpdate)},
					},
				},
			)
		})
	}
}

// An attribute whose default the shortcut does not know is left to the framework.
func TestShortcutKnowsDefaults(t *testing.T) {
	t.Parallel()
	texts := tftypes.List{ElementType: tftypes.String}
	nested := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"size": tftypes.Number}}
	object := tftypes.Object{AttributeTypes: map[string]tftypes.Type{
		"text": tftypes.String, "list": texts, "free": texts, "nested": nested,
	}}
	attributes := map[string]schema.Attribute{
		"text": schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString("a")},
		"list": schema.ListAttribute{
			ElementType: types.StringType, Optional: true, Computed: true,
			Default: listdefault.StaticValue(types.ListValueMust(types.StringType, nil)),
		},
		"free": schema.ListAttribute{ElementType: types.StringType, Optional: true},
		"nested": schema.SingleNestedAttribute{Optional: true, Attributes: map[string]schema.Attribute{
			"size": schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(1)},
		}},
	}
	text := func(s any) tftypes.Value { return tftypes.NewValue(tftypes.String, s) }
	list := func(s ...tftypes.Value) tftypes.Value { return tftypes.NewValue(texts, s) }
	size := func(n any) tftypes.Value {
		return tftypes.NewValue(nested, map[string]tftypes.Value{"size": tftypes.NewValue(tftypes.Number, n)})
	}
	null := func(t tftypes.Type) tftypes.Value { return tftypes.NewValue(t, nil) }
	for name, tt := range map[string]struct {
		attribute     string
		config, state tftypes.Value
		want          bool
	}{
		"the default":                               {"text", text(nil), text("a"), true},
		"another value than the default":            {"text", text(nil), text("b"), false},
		"a configured value":                        {"text", text("b"), text("b"), true},
		"a default that the shortcut does not know": {"list", list(), list(), false},
		"an unknown default that is not used":       {"list", null(texts), null(texts), true},
		"no default":                                {"free", list(text("a")), list(text("a")), true},
		"no object":                                 {"nested", null(nested), null(nested), true},
		"a default in an object":                    {"nested", size(nil), size(1), true},
		"another value in an object":                {"nested", size(nil), size(2), false},
		"a configured value in an object":           {"nested", size(2), size(2), true},
	} {
		config := map[string]tftypes.Value{
			"text":   text("a"),
			"list":   null(texts),
			"free":   null(texts),
			"nested": null(nested),
		}
		state := maps.Clone(config)
		config[tt.attribute], state[tt.attribute] = tt.config, tt.state
		got := hasDefaults(t.Context(), attributes, tftypes.NewValue(object, config), tftypes.NewValue(object, state))
		if got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// StopProvider ends a refresh, and the next refresh is not ended.
func TestStopEndsARefresh(t *testing.T) {
	t.Parallel()
	s := newServer("test")
	before, done := s.withInterrupt(t.Context())
	defer done()
	if _, err := s.StopProvider(t.Context(), &tfprotov6.StopProviderRequest{}); err != nil {
		t.Fatal(err)
	}
	<-before.Done()
	after, done := s.withInterrupt(t.Context())
	defer done()
	if err := after.Err(); err != nil {
		t.Error(err)
	}
}
