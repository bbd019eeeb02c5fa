// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"fmt"
	"sync"
	"testing"

	"github.com/hashicorp/terraform-plugin-framework/list"
	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/querycheck"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
	"github.com/hashicorp/terraform-plugin-testing/tfversion"
)

// A query lists each deployment with the identity that imports it, and on request with what an
// import would write into the state. This asks as Terraform 1.14 does, so that it needs none.
func TestListResource(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		var servers configuredServers
		resource.UnitTest(h.t, resource.TestCase{
			ProtoV6ProviderFactories: servers.factories(h.t),
			CheckDestroy:             func(*terraform.State) error { return h.requireGone() },
			Steps: []resource.TestStep{{
				Config: h.config(version("1.0.0"), attributes{"replicas": "2"}),
				Check: func(*terraform.State) error {
					return requireListed(h, servers.last(), h.id(h.name))
				},
			}},
		})
	})
}

// requireListed returns an error unless the server lists the deployment with this id.
func requireListed(h *harness, s *comparingServer, id string) error {
	request, err := listRequest(h, identityOf(id))
	if err != nil {
		return err
	}
	for _, request.IncludeResource = range []bool{false, true} {
		found, err := s.ListResource(h.t.Context(), request)
		if err != nil {
			return err
		}
		isListed := false
		for result := range found.Results {
			for _, d := range result.Diagnostics {
				return fmt.Errorf("%s: %s: %s", result.DisplayName, d.Summary, d.Detail)
			}
			if result.DisplayName != id {
				continue
			}
			isListed = true
			if err := requireSameDeployment(s, result, request.IncludeResource); err != nil {
				return err
			}
		}
		if !isListed {
			return fmt.Errorf("%s is not listed", id)
		}
	}
	return nil
}

// requireSameDeployment returns an error unless the result has the identity of its id, and the
// resource if it was asked for.
func requireSameDeployment(s *comparingServer, result tfprotov6.ListResourceResult, wantsResource bool) error {
	identity, err := result.Identity.IdentityData.Unmarshal(s.shortcut.facts().identityType)
	if err != nil {
		return err
	}
	var fields map[string]tftypes.Value
	if err := identity.As(&fields); err != nil {
		return err
	}
	want := identityOf(result.DisplayName)
	if got := fields["platform"]; !got.Equal(tftypes.NewValue(tftypes.String, want.Platform.ValueString())) {
		return fmt.Errorf("the platform is %s, want %s", got, want.Platform)
	}
	var state map[string]tftypes.Value
	if wantsResource {
		found, err := result.Resource.Unmarshal(s.shortcut.facts().objectType)
		if err == nil {
			err = found.As(&state)
		}
		if err != nil {
			return err
		}
	} else if result.Resource != nil {
		return fmt.Errorf("%s has a resource that nobody asked for", result.DisplayName)
	}
	for name, value := range map[string]tftypes.Value{
		"name":         tftypes.NewValue(tftypes.String, want.Name.ValueString()),
		"version":      tftypes.NewValue(tftypes.String, "1.0.0"),
		"live_version": tftypes.NewValue(tftypes.String, "1.0.0"),
	} {
		if got := state[name]; wantsResource && !got.Equal(value) {
			return fmt.Errorf("%s is %s, want %s", name, got, value)
		}
	}
	return nil
}

// listRequest asks for the deployments where the one with this identity is.
func listRequest(h *harness, where identityModel) (*tfprotov6.ListResourceRequest, error) {
	var described list.ListResourceSchemaResponse
	newDeploymentList().ListResourceConfigSchema(h.t.Context(), list.ListResourceSchemaRequest{}, &described)
	blocks := map[string]tftypes.Value{}
	for kind, block := range described.Schema.GetAttributes() {
		blocks[kind] = tftypes.NewValue(block.GetType().TerraformType(h.t.Context()), nil)
		if kind != where.Platform.ValueString() {
			continue
		}
		fields := map[string]tftypes.Value{}
		if kind == kindKubernetes {
			fields["namespace"] = tftypes.NewValue(tftypes.String, where.Namespace.ValueString())
		}
		blocks[kind] = tftypes.NewValue(block.GetType().TerraformType(h.t.Context()), fields)
	}
	configType := described.Schema.Type().TerraformType(h.t.Context())
	config, err := tfprotov6.NewDynamicValue(configType, tftypes.NewValue(configType, blocks))
	return &tfprotov6.ListResourceRequest{TypeName: deploymentType, Config: &config, Limit: 1000}, err
}

// configuredServers are the servers that Terraform has started in a test.
type configuredServers struct {
	mu  sync.Mutex
	all []*comparingServer
}

func (c *configuredServers) factories(t testing.TB) map[string]func() (tfprotov6.ProviderServer, error) {
	return map[string]func() (tfprotov6.ProviderServer, error){
		providerType: func() (tfprotov6.ProviderServer, error) {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.all = append(c.all, newComparingServer(t))
			return c.all[len(c.all)-1], nil
		},
	}
}

// last returns the server that was configured last, nil if none was.
func (c *configuredServers) last() (last *comparingServer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range c.all {
		if s.shortcut.provider.configured.Load() != nil {
			last = s
		}
	}
	return last
}

// The same with `terraform query`.
func TestQuery(t *testing.T) {
	t.Parallel()
	onEachPlatform(t, func(h *harness) {
		query := fmt.Sprintf(`list %q "all" {
  provider         = bluegreen
  include_resource = true
  config {
    %s
  }
}
`, deploymentType, h.dataBlock())
		where := identityOf(h.id(h.name))
		namespace := knownvalue.Check(knownvalue.Null())
		if !where.Namespace.IsNull() {
			namespace = text(where.Namespace.ValueString())
		}
		resource.UnitTest(h.t, resource.TestCase{
			TerraformVersionChecks:   []tfversion.TerraformVersionCheck{tfversion.SkipBelow(tfversion.Version1_14_0)},
			ProtoV6ProviderFactories: factories(h.t),
			CheckDestroy:             func(*terraform.State) error { return h.requireGone() },
			Steps: []resource.TestStep{
				{Config: h.config(version("1.0.0"))},
				{
					// The configuration of the first step, with the provider, is still there.
					Query:  true,
					Config: query,
					QueryResultChecks: []querycheck.QueryResultCheck{
						querycheck.ExpectIdentity(deploymentType+".all", map[string]knownvalue.Check{
							"name":      text(where.Name.ValueString()),
							"platform":  text(where.Platform.ValueString()),
							"namespace": namespace,
						}),
					},
				},
			},
		})
	})
}
