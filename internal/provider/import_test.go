// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/path"
	fwresource "github.com/hashicorp/terraform-plugin-framework/resource"
	"github.com/hashicorp/terraform-plugin-framework/tfsdk"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// What is imported needs no change, as far as a ledger tells it.
func TestImport(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		config := h.config(version("1.0.0"), attributes{"replicas": "2", "args": `["-v"]`})
		h.run(
			resource.TestStep{Config: config},
			resource.TestStep{
				ResourceName:            address,
				ImportState:             true,
				ImportStateId:           h.id(h.name),
				ImportStateVerify:       true,
				ImportStateVerifyIgnore: notImported[identityOf(h.id(h.name)).Platform.ValueString()],
			},
			resource.TestStep{
				ResourceName:  address,
				ImportState:   true,
				ImportStateId: h.id("shop"),
				ExpectError:   regexp.MustCompile(`(?s)Cannot import non-existent remote object`),
			},
			resource.TestStep{
				ResourceName:  address,
				ImportState:   true,
				ImportStateId: h.id("../web"),
				ExpectError:   regexp.MustCompile(`(?s)Invalid import ID`),
			},
		)
	})
}

// An import reads what the agent keeps of the configuration, but for what may be a secret.
func TestImportReadsTheSettingsOfTheAgent(t *testing.T) {
	t.Parallel()
	const router = `response_timeout = "9s", max_body = "1000", trusted_proxies = ["10.0.0.0/8"], ` +
		`access_log = true, max_connections = 50`
	for _, p := range testedPlatforms {
		if p.kind == kindKubernetes {
			continue // It has no agent.
		}
		t.Run(p.kind, func(t *testing.T) {
			t.Parallel()
			h := p.claim(t)
			blocks := map[string]string{
				kindLocal: fmt.Sprintf("{ listen = %q, %s }", freeAddress(t), router),
				kindDocker: fmt.Sprintf("%s, publish = [%q], %s }",
					strings.TrimSuffix(h.settings()[kindDocker], "}"), freeAddress(t), router),
			}
			settings := attributes{
				p.kind: blocks[p.kind], "drain_timeout": `"7s"`,
				"health_check": `{ http = { path = "/healthz", headers = { Probe-Token = "open-sesame" } }, ` +
					`tcp = {}, interval = "100ms", unhealthy_threshold = 5, restart_after = "60s" }`,
			}
			h.run(
				resource.TestStep{Config: h.config(version("1.0.0"), settings)},
				resource.TestStep{
					ResourceName:            address,
					ImportState:             true,
					ImportStateId:           h.id(h.name),
					ImportStateVerify:       true,
					ImportStateVerifyIgnore: append([]string{"health_check.http.headers"}, notImported[p.kind]...),
				},
			)
		})
	}
}

// notImported are the attributes of each platform that nobody keeps. They have their defaults
// after an import, or none.
var notImported = map[string][]string{
	kindLocal:      {"bake_time"},
	kindDocker:     {"bake_time", "docker.port", "docker.pull", "docker.agent_image"},
	kindKubernetes: {"bake_time", "drain_timeout", "health_check", "kubernetes"},
}

// What was imported can be destroyed before anything was applied.
func TestImportAndDestroy(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		h.run(
			resource.TestStep{Config: h.config(version("1.0.0"))},
			resource.TestStep{Config: h.forgetting()},
			resource.TestStep{
				Config:             h.config(version("1.0.0")),
				ResourceName:       address,
				ImportState:        true,
				ImportStateId:      h.id(h.name),
				ImportStatePersist: true,
			},
		)
	})
}

// An import block takes over a deployment that a state has forgotten, in place.
func TestImportBlock(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		config := h.config(version("1.0.0"), attributes{"env": `{ LEVEL = "info" }`})
		h.run(
			resource.TestStep{Config: config},
			resource.TestStep{Config: h.forgetting()},
			resource.TestStep{
				Config: fmt.Sprintf("import {\n  to = %s\n  id = %q\n}\n", address, h.id(h.name)) + config,
				ConfigPlanChecks: resource.ConfigPlanChecks{
					PreApply: []plancheck.PlanCheck{planHas(text("deploy-1"), "deployment_id")},
				},
				ConfigStateChecks: []statecheck.StateCheck{
					h.live("1.0.0"),
					stateHas(text("deploy-1"), "deployment_id"),
				},
			},
		)
	})
}

// forgetting is a configuration that takes the deployment out of the state.
func (h *harness) forgetting() string {
	return h.providerConfig() + "removed {\n  from = " + address + "\n  lifecycle {\n    destroy = false\n  }\n}\n"
}

// Terraform 1.12 and later import by identity, too, with or without the platform.
func TestImportByIdentity(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		platform, namespace any
		fails               bool
	}{
		"with the platform":        {"local", nil, false},
		"without the platform":     {nil, nil, false},
		"docker":                   {"docker", nil, false},
		"kubernetes":               {"kubernetes", "shop", false},
		"another platform":         {"moon", nil, true},
		"an impossible name there": {"kubernetes", "../shop", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ctx := t.Context()
			r := &deploymentResource{}
			var schema fwresource.IdentitySchemaResponse
			r.IdentitySchema(ctx, fwresource.IdentitySchemaRequest{}, &schema)
			kind := schema.IdentitySchema.Type().TerraformType(ctx)
			identity := tfsdk.ResourceIdentity{
				Schema: schema.IdentitySchema,
				Raw: tftypes.NewValue(kind, map[string]tftypes.Value{
					"name":      tftypes.NewValue(tftypes.String, "web"),
					"platform":  tftypes.NewValue(tftypes.String, tt.platform),
					"namespace": tftypes.NewValue(tftypes.String, tt.namespace),
				}),
			}
			resources := deploymentSchema(ctx)
			resp := fwresource.ImportStateResponse{
				State: tfsdk.State{
					Schema: resources,
					Raw:    tftypes.NewValue(resources.Type().TerraformType(ctx), nil),
				},
				Identity: &tfsdk.ResourceIdentity{Schema: schema.IdentitySchema, Raw: tftypes.NewValue(kind, nil)},
			}
			r.ImportState(ctx, fwresource.ImportStateRequest{Identity: &identity}, &resp)
			if resp.Diagnostics.HasError() != tt.fails {
				t.Fatalf("diagnostics: %v", resp.Diagnostics)
			}
			var imported types.String
			resp.State.GetAttribute(ctx, path.Root("name"), &imported)
			if !tt.fails && imported.ValueString() != "web" {
				t.Errorf("imported %s", imported)
			}
		})
	}
}

// Terraform writes the configuration of what it imports. Applied, it leaves the deployment where
// it is, and its plan names the variables whose values no import can read.
func TestGeneratedConfiguration(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	listen := freeAddress(t)
	tf.apply(h.config(version("1.0.0"), attributes{
		"env":   `{ LEVEL = "info", TOKEN = "correct-horse" }`,
		"local": fmt.Sprintf(`{ listen = %q, protocol = "tcp" }`, listen),
	}))
	before := h.status()
	tf.apply(h.forgetting())

	tf.write(h.providerConfig() + fmt.Sprintf("import {\n  to = %s\n  id = %q\n}\n", address, h.id(h.name)))
	mustContain(t, tf.must("plan", "-generate-config-out=generated.tf"),
		"without some environment variables", "1.0.0, which serves, has variables", "LEVEL, TOKEN")
	generated, err := os.ReadFile(filepath.Join(tf.dir, "generated.tf"))
	if err != nil {
		t.Fatal(err)
	}
	mustContain(t, string(generated), listen, `"tcp"`)
	tf.must("apply", "-auto-approve")
	if after := h.status(); after.Endpoint != before.Endpoint {
		t.Errorf("the deployment has moved from %s to %s", before.Endpoint, after.Endpoint)
	}
	mustContain(t, tf.must("plan"), "No changes")
}
