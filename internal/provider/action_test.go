// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/action"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"
)

// An action rolls back and promotes a deployment of which it knows the name alone. This asks as
// Terraform 1.14 does, so that it needs none.
func TestActions(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		var servers configuredServers
		settings := attributes{"history_limit": "20"}
		unpromoted := attributes{"promote": "false"}
		reason := map[string]tftypes.Value{"reason": tftypes.NewValue(tftypes.String, "it lost orders")}
		unwatched := map[string]tftypes.Value{"bake_time": tftypes.NewValue(tftypes.String, "0s")}
		invokes := func(act action.Action, values map[string]tftypes.Value, says, serves string) func() {
			return func() {
				h.t.Helper()
				if err := h.invoke(servers.last(), act, values, says); err != nil {
					h.t.Error(err)
				}
				h.answers(serves)
			}
		}
		resource.UnitTest(h.t, resource.TestCase{
			ProtoV6ProviderFactories: servers.factories(h.t),
			CheckDestroy:             func(*terraform.State) error { return h.requireGone() },
			Steps: []resource.TestStep{
				{Config: h.config(version("1.0.0"), settings)},
				{
					PreConfig: invokes(newRollbackAction(), nil, "There is nothing to roll back to", "1.0.0"),
					Config:    h.config(version("1.0.0"), settings),
					PlanOnly:  true,
				},
				{
					PreConfig: invokes(newPromoteAction(), nil, "there is no preview", "1.0.0"),
					Config:    h.config(version("2.0.0"), settings),
				},
				{
					PreConfig:   invokes(newRollbackAction(), reason, "1.0.0 serves from green now", "1.0.0"),
					Config:      h.config(version("2.0.0"), settings),
					ExpectError: regexp.MustCompile(`(?s)rolled\s+back.*it\s+lost\s+orders`),
				},
				{
					Config:            h.config(version("3.0.0"), settings, unpromoted),
					ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0"), h.preview("3.0.0")},
				},
				{
					// The configuration finds everything as it has left it.
					PreConfig: invokes(newPromoteAction(), unwatched, "3.0.0 serves from blue now", "3.0.0"),
					Config:    h.config(version("3.0.0"), settings, unpromoted),
					PlanOnly:  true,
				},
				{
					Config:            h.config(version("3.0.0"), settings, unpromoted),
					ConfigStateChecks: []statecheck.StateCheck{h.live("3.0.0")},
					Check:             func(*terraform.State) error { return h.requireHistoryLimit(20) },
				},
			},
		})
	})
}

func (h *harness) requireHistoryLimit(want int) error {
	if got := h.status().Ledger.HistoryLimit; got != want {
		return fmt.Errorf("the history is limited to %d, want %d", got, want)
	}
	return nil
}

// invoke invokes an action on the deployment. It returns an error unless the progress and the
// diagnostics of the action contain says.
func (h *harness) invoke(s *comparingServer, act action.Action, values map[string]tftypes.Value, says string) error {
	var named action.MetadataResponse
	act.Metadata(h.t.Context(), action.MetadataRequest{}, &named)
	config, err := actionConfig(h, act, values)
	if err != nil {
		return err
	}
	request := &tfprotov6.InvokeActionRequest{ActionType: named.TypeName, Config: &config}
	stream, err := s.InvokeAction(h.t.Context(), request)
	if err != nil {
		return err
	}
	var said []string
	for event := range stream.Events {
		switch e := event.Type.(type) {
		case tfprotov6.ProgressInvokeActionEventType:
			said = append(said, e.Message)
		case tfprotov6.CompletedInvokeActionEventType:
			for _, d := range e.Diagnostics {
				said = append(said, d.Summary+": "+d.Detail)
			}
		}
	}
	text := strings.Join(said, "\n")
	if !strings.Contains(text, says) {
		return fmt.Errorf("%s says %q, want %q", named.TypeName, text, says)
	}
	if strings.Contains(text, secret) {
		return errors.New("the action tells a secret: " + text)
	}
	return nil
}

// actionConfig is the configuration of an action on the deployment, with these values.
func actionConfig(
	h *harness, act action.Action, values map[string]tftypes.Value,
) (tfprotov6.DynamicValue, error) {
	var described action.SchemaResponse
	act.Schema(h.t.Context(), action.SchemaRequest{}, &described)
	configType := described.Schema.Type().TerraformType(h.t.Context())
	where := identityOf(h.id(h.name))
	all := map[string]tftypes.Value{}
	for name, attribute := range described.Schema.GetAttributes() {
		kind := attribute.GetType().TerraformType(h.t.Context())
		all[name] = tftypes.NewValue(kind, nil)
		if name != where.Platform.ValueString() {
			continue
		}
		fields := map[string]tftypes.Value{}
		if name == kindKubernetes {
			fields["namespace"] = tftypes.NewValue(tftypes.String, where.Namespace.ValueString())
		}
		all[name] = tftypes.NewValue(kind, fields)
	}
	all["name"] = tftypes.NewValue(tftypes.String, h.name)
	maps.Copy(all, values)
	return tfprotov6.NewDynamicValue(configType, tftypes.NewValue(configType, all))
}

// An action refuses a standby that is not healthy, and does not tell what the standby answers.
func TestRollbackActionRefusesSickStandby(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	var servers configuredServers
	config := func(v string) string {
		return h.config(version(v), behaving("healthy"), attributes{
			"bake_time":    `"0s"`,
			"health_check": `{ http = { path = "/healthz" }, interval = "20ms" }`,
		})
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: servers.factories(t),
		CheckDestroy:             func(*terraform.State) error { return h.requireGone() },
		Steps: []resource.TestStep{
			{Config: config("1.0.0")},
			{
				PreConfig: func() { h.tellLive("/sicken") },
				Config:    config("2.0.0"),
				Check: func(*terraform.State) error {
					h.awaitBlockedRollback()
					return errors.Join(
						h.invoke(servers.last(), newRollbackAction(), nil, "a plan shows the cause"),
						h.invoke(servers.last(), newRollbackAction(), nil, "set rollback_check = false"),
						h.invoke(servers.last(), newRollbackAction(), nil, "2.0.0 serves from blue now"),
					)
				},
			},
			{
				PreConfig: func() {
					unchecked := map[string]tftypes.Value{"rollback_check": tftypes.NewValue(tftypes.Bool, false)}
					err := h.invoke(servers.last(), newRollbackAction(), unchecked, "1.0.0 is live in green, but none")
					if err != nil {
						t.Error(err)
					}
				},
				Config:      config("2.0.0"),
				ExpectError: regexp.MustCompile(`(?s)rolled\s+back.*asked\s+for\s+by\s+an\s+action`),
			},
		},
	})
}

// The same with a Terraform that has actions.
func TestActionInConfiguration(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		act := fmt.Sprintf(`
action "bluegreen_rollback" "back" {
  config {
    name   = %q
    reason = "it lost orders"
    %s
  }
}

resource "terraform_data" "incident" {
  lifecycle {
    action_trigger {
      events  = [after_create]
      actions = [action.bluegreen_rollback.back]
    }
  }
}
`, h.name, h.dataBlock())
		resource.UnitTest(h.t, resource.TestCase{
			TerraformVersionChecks:   []tfversion.TerraformVersionCheck{tfversion.SkipBelow(tfversion.Version1_14_0)},
			ProtoV6ProviderFactories: factories(h.t),
			CheckDestroy:             func(*terraform.State) error { return h.requireGone() },
			Steps: []resource.TestStep{
				{Config: h.config(version("1.0.0"))},
				{Config: h.config(version("2.0.0"))},
				{
					Config:      h.config(version("2.0.0")) + act,
					ExpectError: regexp.MustCompile(`(?s)rolled\s+back.*it\s+lost\s+orders`),
				},
				{
					Config:            h.config(version("2.0.0"), rollback(true)),
					ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
				},
			},
		})
	})
}
