// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"regexp"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/terraform"
)

// applyRecorder is a provider that keeps the last answer to an apply.
type applyRecorder struct {
	tfprotov6.ProviderServer

	last *atomic.Pointer[tfprotov6.ApplyResourceChangeResponse]
}

func (r applyRecorder) ApplyResourceChange(
	ctx context.Context, req *tfprotov6.ApplyResourceChangeRequest,
) (*tfprotov6.ApplyResourceChangeResponse, error) {
	response, err := r.ProviderServer.ApplyResourceChange(ctx, req)
	if len(req.PlannedPrivate) > 0 && response != nil && len(response.Diagnostics) > 0 {
		r.last.Store(response)
	}
	return response, err
}

// An update that fails after traffic has moved writes what serves into the state.
// The state keeps the configuration of the release before. No refresh helps here:
// this is the answer that Terraform stores.
func TestFailedUpdateWritesWhatServesIntoTheState(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	var failed atomic.Pointer[tfprotov6.ApplyResourceChangeResponse]
	watched := attributes{
		"bake_time":    `"10s"`,
		"health_check": `{ http = { path = "/healthz" }, interval = "20ms", retries = 1 }`,
	}
	resource.UnitTest(t, resource.TestCase{
		ProtoV6ProviderFactories: map[string]func() (tfprotov6.ProviderServer, error){
			"bluegreen": func() (tfprotov6.ProviderServer, error) {
				return applyRecorder{newComparingServer(t), &failed}, nil
			},
		},
		CheckDestroy: func(*terraform.State) error { return h.requireGone() },
		Steps: []resource.TestStep{
			{Config: h.config(version("1.0.0"))},
			{
				Config:      h.config(version("2.0.0"), watched, behaving(turnsUnhealthy)),
				ExpectError: regexp.MustCompile(`The release is not healthy`),
			},
		},
	})
	response := failed.Load()
	if response == nil {
		t.Fatal("no update has failed")
	}
	kind := deploymentSchema(t.Context()).Type().TerraformType(t.Context())
	value, err := response.NewState.Unmarshal(kind)
	if err != nil {
		t.Fatal(err)
	}
	var state map[string]tftypes.Value
	if err := value.As(&state); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"version": "1.0.0", "live_version": "1.0.0", "live_environment": "green", "deployment_id": "rollback-3",
	} {
		var got string
		if err := state[name].As(&got); err != nil || got != want {
			t.Errorf("%s is %q, %v, want %q", name, got, err, want)
		}
	}
}
