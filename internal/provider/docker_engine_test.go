// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/terraform-plugin-framework/path"
	"github.com/hashicorp/terraform-plugin-framework/types"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/docker"
)

// A plan says which settings are without effect. With the engine the same release gets
// them, and a container that answers 503 is restarted.
func TestDockerWatchesTheEngine(t *testing.T) {
	t.Parallel()
	name, p := claimDocker(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	config := func(more string) string {
		const block = `{ port = %d, pull = "never", agent_image = %q%s }`
		return h.config(attributes{
			"docker": fmt.Sprintf(block, servicePort, p.agentImage, more),
			"health_check": `{
				http = { path = "/healthz" }, exec = { command = ["/replica", "check"] },
				unhealthy_threshold = 2, restart_after = "1s"
			}`,
		})
	}
	const exec, restart = "health_check.exec has no effect", "health_check.restart_after has no effect"
	c := h.terraform()
	c.write(config(""))
	mustContain(t, c.must("plan"), exec, restart, "docker.watch_engine = true")
	c.must("apply", "-auto-approve")
	if output := c.must("plan"); strings.Contains(output, "Warning") || !strings.Contains(output, "No changes") {
		t.Errorf("a plan without a change says:\n%s", output)
	}
	if mounts := inspected(t, p.agent).HostConfig.Mounts; len(mounts) != 1 {
		t.Errorf("the agent's container has the mounts %+v", mounts)
	}
	before := inspected(t, name+"-green-1")

	c.write(config(", watch_engine = true"))
	output := c.must("plan")
	if strings.Contains(output, "Warning") || !strings.Contains(output, "0 to add, 1 to change") {
		t.Errorf("the plan says:\n%s", output)
	}
	c.must("apply", "-auto-approve")
	mustContain(t, c.must("plan"), "No changes")
	after := inspected(t, name+"-green-1")
	if after.ID != before.ID || after.State.StartedAt != before.State.StartedAt {
		t.Error("the release was deployed again, or restarted")
	}
	if mounts := inspected(t, p.agent).HostConfig.Mounts; len(mounts) != 2 {
		t.Errorf("the agent's container has the mounts %+v", mounts)
	}
	response, err := http.Post(h.status().Endpoint+"/fail", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	agenttest.Eventually(t, func() error {
		if after := inspected(t, name+"-green-1"); after.State.StartedAt == before.State.StartedAt {
			return errors.New("the container was not restarted")
		}
		_, err := h.get(t.Context(), h.status().Endpoint)
		return err
	})
	h.answers("1.0.0")
}

// The framework gives no warning in a plan without changes either. The server of this test
// asks it besides the shortcut, which answers such a plan.
func TestDockerPlanWithoutChangesHasNoWarning(t *testing.T) {
	t.Parallel()
	name, p := claimDocker(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	h.run(resource.TestStep{
		Config: h.config(healthCheck(`{ exec = { command = ["/replica", "check"] }, restart_after = "1m" }`)),
		ConfigPlanChecks: resource.ConfigPlanChecks{
			PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
		},
		ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
	})
}

// inspected returns what the engine knows of a container.
func inspected(t *testing.T, name string) container.InspectResponse {
	t.Helper()
	found, err := engine.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return found.Container
}

// Only on Docker, and only without the engine, settings are without effect. What is not
// known yet is none.
func TestSettingsWithoutEffectAreNamed(t *testing.T) {
	t.Parallel()
	checks := health.Config{Exec: &health.Exec{Command: []string{"check"}}}
	all := healthSettings{checks: checks, restartAfter: time.Second}
	withEngine := func(value types.Bool) dockerPlatform {
		return dockerPlatform{dockerModel: dockerModel{WatchEngine: value}}
	}
	both := []string{"health_check.exec", "health_check.restart_after"}
	for what, tt := range map[string]struct {
		platform planChecks
		settings healthSettings
		want     []string
	}{
		"neither is set":        {withEngine(types.BoolNull()), healthSettings{}, nil},
		"the default":           {withEngine(types.BoolNull()), all, both},
		"without the engine":    {withEngine(types.BoolValue(false)), all, both},
		"with the engine":       {withEngine(types.BoolValue(true)), all, nil},
		"that is not known yet": {withEngine(types.BoolUnknown()), all, nil},
		"local":                 {localPlatform{}, all, nil},
		"kubernetes":            {kubernetesPlatform{}, all, nil},
	} {
		var got []string
		for _, d := range tt.platform.withoutEffect(tt.settings) {
			if pointing, ok := d.(interface{ Path() path.Path }); ok {
				got = append(got, pointing.Path().String())
			}
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s: the warnings are about %q, want %q", what, got, tt.want)
		}
	}
}

// An agent that cannot have the socket is an error about the setting.
func TestSocketErrorPointsAtTheSetting(t *testing.T) {
	t.Parallel()
	err := fmt.Errorf("replacing: %w", &docker.SocketError{Path: "/run/docker.sock", Err: errors.New("no such file")})
	if at, found := (dockerPlatform{}).attributeOf(err); !found || at.String() != "docker.watch_engine" {
		t.Errorf("it points at %s", at)
	}
}

// A deployment is read and destroyed as the agent is.
func TestOnlyAnApplyAsksForTheEngine(t *testing.T) {
	t.Parallel()
	p := dockerPlatform{dockerModel: dockerModel{WatchEngine: types.BoolValue(true)}}
	if asked := p.upkeep(openSettings{}); asked != nil {
		t.Errorf("the agent is asked for %+v", asked)
	}
	if asked := p.upkeep(openSettings{upkeep: &upkeep{}}); asked == nil || !asked.WatchesEngine {
		t.Errorf("the agent is asked for %+v", asked)
	}
}
