// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
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

// As long as nothing happens the framework has nothing to do; what happens outside
// is for the framework again, which doubled compares.
func TestNothingHappens(t *testing.T) {
	t.Parallel()
	w, served := newWorld(t), newDoubled()
	var refreshes, plans int64
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: map[string]func() (tfprotov6.ProviderServer, error){
			"bluegreen": func() (tfprotov6.ProviderServer, error) { return served, nil },
		},
		CheckDestroy: func(*terraform.State) error { return w.gone() },
		Steps: []resource.TestStep{
			{Config: w.config(version("1.0.0"))},
			{Config: w.config(version("2.0.0"))},
			{Config: w.config(version("2.0.0")), Check: served.identifies},
			{
				PreConfig: func() { refreshes, plans = served.refreshes.Load(), served.plans.Load() },
				Config:    w.config(version("2.0.0")),
				PlanOnly:  true,
			},
			{
				PreConfig: func() {
					if served.refreshes.Load() == refreshes || served.plans.Load() == plans {
						t.Errorf("%d refreshes and %d plans, as before", refreshes, plans)
					}
					w.outside(func(ctx context.Context, d *bluegreen.Deployer) error { return d.Rollback(ctx, "just so") })()
				},
				Config:             w.config(version("2.0.0")),
				PlanOnly:           true,
				ExpectNonEmptyPlan: true,
			},
		},
	})
}

// identifies asks again for the last refresh as a Terraform does that keeps identities.
func (d *doubled) identifies(*terraform.State) error {
	req := *d.refreshed.Load()
	found, err := d.ReadResource(context.Background(), &req)
	if err != nil {
		return err
	}
	if req.CurrentIdentity = found.NewIdentity; req.CurrentIdentity == nil {
		return errors.New("a deployment has no identity")
	}
	again, err := d.ReadResource(context.Background(), &req)
	if err == nil && again.NewState != req.CurrentState {
		err = errors.New("a deployment with its own identity counts as changed")
	}
	if err != nil {
		return err
	}
	identity := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"name": tftypes.String, "platform": tftypes.String}}
	another, err := tfprotov6.NewDynamicValue(identity, tftypes.NewValue(identity, map[string]tftypes.Value{
		"name": tftypes.NewValue(tftypes.String, "another"), "platform": tftypes.NewValue(tftypes.String, kindLocal),
	}))
	if err != nil {
		return err
	}
	req.CurrentIdentity = &tfprotov6.ResourceIdentityData{IdentityData: &another}
	if found, err = d.ReadResource(context.Background(), &req); err == nil && len(found.Diagnostics) == 0 {
		err = errors.New("a deployment with the identity of another one is refreshed")
	}
	return err
}

// A setting that is taken out of the configuration goes back to its default, at
// any depth. What Terraform proposes for it is the prior state, so that only the
// defaults tell.
func TestBackToTheDefault(t *testing.T) {
	t.Parallel()
	for name, setting := range map[string]attributes{
		"at the top":       {"switch_timeout": `"50s"`},
		"of the size":      {"replicas": "2"},
		"of the check":     {"health_check": `{ http = { path = "/healthz" }, interval = "100ms", retries = 2 }`},
		"of the HTTP call": {"health_check": `{ http = { path = "/healthz", host = "example.org" }, interval = "100ms" }`},
		"of the platform":  {"local": `{ protocol = "tcp" }`},
	} {
		without := attributes{}
		if _, ok := setting["local"]; ok {
			without["local"] = "{}"
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, with := newWorld(t), attributes{}
			maps.Copy(with, setting)
			w.play(
				resource.TestStep{Config: w.config(with)},
				resource.TestStep{
					Config:           w.config(without),
					ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{action(plancheck.ResourceActionUpdate)}},
				},
			)
		})
	}
}

// Where a schema has defaults that are not looked at, nothing is taken for unchanged.
func TestDefaultsOfASchema(t *testing.T) {
	t.Parallel()
	texts := tftypes.List{ElementType: tftypes.String}
	nested := tftypes.Object{AttributeTypes: map[string]tftypes.Type{"size": tftypes.Number}}
	object := tftypes.Object{AttributeTypes: map[string]tftypes.Type{
		"text": tftypes.String, "list": texts, "free": texts, "nested": nested,
	}}
	holds := nestedDefaults(t.Context(), map[string]schema.Attribute{
		"text": schema.StringAttribute{Optional: true, Computed: true, Default: stringdefault.StaticString("a")},
		"list": schema.ListAttribute{
			ElementType: types.StringType, Optional: true, Computed: true,
			Default: listdefault.StaticValue(types.ListValueMust(types.StringType, nil)),
		},
		"free": schema.ListAttribute{ElementType: types.StringType, Optional: true},
		"nested": schema.SingleNestedAttribute{Optional: true, Attributes: map[string]schema.Attribute{
			"size": schema.Int64Attribute{Optional: true, Computed: true, Default: int64default.StaticInt64(1)},
		}},
	})
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
		"a default that is there":         {"text", text(nil), text("a"), true},
		"another value than the default":  {"text", text(nil), text("b"), false},
		"a configured value":              {"text", text("b"), text("b"), true},
		"a default that is not looked at": {"list", list(), list(), false},
		"none in its place":               {"list", null(texts), null(texts), true},
		"no default":                      {"free", list(text("a")), list(text("a")), true},
		"no object":                       {"nested", null(nested), null(nested), true},
		"a default in an object":          {"nested", size(nil), size(1), true},
		"another value in an object":      {"nested", size(nil), size(2), false},
		"a configured value in an object": {"nested", size(2), size(2), true},
	} {
		config := map[string]tftypes.Value{"text": text("a"), "list": null(texts), "free": null(texts), "nested": null(nested)}
		state := maps.Clone(config)
		config[tt.attribute], state[tt.attribute] = tt.config, tt.state
		if got := holds(tftypes.NewValue(object, config), tftypes.NewValue(object, state)); got != tt.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// A refresh that Terraform no longer wants ends, and the next one is a new one.
func TestStop(t *testing.T) {
	t.Parallel()
	s := newServer("test")
	before, done := s.interruptible(t.Context())
	defer done()
	if _, err := s.StopProvider(t.Context(), &tfprotov6.StopProviderRequest{}); err != nil {
		t.Fatal(err)
	}
	<-before.Done()
	after, done := s.interruptible(t.Context())
	defer done()
	if err := after.Err(); err != nil {
		t.Error(err)
	}
}
