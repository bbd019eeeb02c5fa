// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"fmt"
	"regexp"
	"testing"

	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// A standby whose HEALTHCHECK fails is nothing to go back to, and no change.
func TestDockerStandbyIsUnhealthy(t *testing.T) {
	t.Parallel()
	name, p := claimDocker(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	image, err := engine.checked()
	if err != nil {
		t.Fatal(err)
	}
	checked := func(v string) string { return h.config(version(v), attributes{"image": fmt.Sprintf("%q", image)}) }
	h.run(
		resource.TestStep{Config: checked("1.0.0")},
		resource.TestStep{
			Config:            checked("2.0.0"),
			ConfigStateChecks: []statecheck.StateCheck{stateHas(knownvalue.Bool(true), "rollback_available")},
		},
		resource.TestStep{
			PreConfig: func() { failChecks(t, name+"-green-1") },
			Config:    checked("2.0.0"),
			ConfigPlanChecks: resource.ConfigPlanChecks{
				PreApply: []plancheck.PlanCheck{
					plancheck.ExpectEmptyPlan(),
				},
				PostApplyPostRefresh: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()},
			},
			ConfigStateChecks: []statecheck.StateCheck{
				h.live(
					"2.0.0",
				),
				stateHas(knownvalue.Bool(false), "rollback_available"),
				stateHas(number(0), "environments", "green", "ready_replicas"),
			},
		},
	)
}

// failChecks makes the HEALTHCHECK of a container fail, and returns when the engine
// reports the container as unhealthy.
func failChecks(t *testing.T, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), waitLimit)
	defer cancel()
	events := engine.Events(
		ctx,
		client.EventsListOptions{
			Filters: client.Filters{}.Add("container", name).Add("event", "health_status: unhealthy"),
		},
	)
	made, err := engine.ExecCreate(ctx, name, client.ExecCreateOptions{Cmd: []string{"/replica", "fail-checks"}})
	if err == nil {
		_, err = engine.ExecStart(ctx, made.ID, client.ExecStartOptions{Detach: true})
	}
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-events.Messages:
	case err := <-events.Err:
		t.Fatal(err)
	}
}

// The plan shows a container that was removed or stopped without Terraform, and apply
// brings it back.
func TestDockerContainersByHand(t *testing.T) {
	t.Parallel()
	name, p := claimDocker(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	whole := []statecheck.StateCheck{
		h.live("2.0.0"),
		stateHas(number(1), "environments", "blue", "ready_replicas"),
		stateHas(number(1), "environments", "green", "ready_replicas"),
		stateHas(knownvalue.Bool(true), "rollback_available"),
	}
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"))},
		resource.TestStep{Config: h.config(version("2.0.0"))},
		resource.TestStep{
			PreConfig: func() {
				if _, err := engine.ContainerRemove(
					t.Context(),
					name+"-blue-1",
					client.ContainerRemoveOptions{Force: true},
				); err != nil {
					t.Fatal(err)
				}
			},
			Config: h.config(version("2.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate),
				planHas(text("deploy-2"), "deployment_id"),
				planHasUnknown("environments", "blue", "ready_replicas"),
			}},
			ConfigStateChecks: whole,
		},
		resource.TestStep{
			PreConfig: func() {
				if _, err := engine.ContainerStop(
					t.Context(),
					name+"-green-1",
					client.ContainerStopOptions{},
				); err != nil {
					t.Fatal(err)
				}
			},
			Config: h.config(version("2.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate),
				planHasUnknown("environments", "green", "ready_replicas"),
			}},
			ConfigStateChecks: whole,
		},
	)
}

// A container that is not the provider's and has a name that it needs is an error. It
// is never touched.
func TestDockerForeignContainer(t *testing.T) {
	t.Parallel()
	name, p := claimDocker(t)
	h := &harness{t: t, name: name, platformUnderTest: p}
	foreign, err := engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name + "-green-1", Config: &container.Config{Image: h.image()},
	})
	if err != nil {
		t.Fatal(err)
	}
	h.run(
		resource.TestStep{
			Config: h.config(version("1.0.0")),
			ExpectError: regexp.MustCompile(
				`(?s)container\s+called\s+"` + name + `-green-1"\s+already\s+that\s+does\s+not\s+belong`,
			),
		},
		resource.TestStep{
			PreConfig: func() {
				found, err := engine.ContainerInspect(t.Context(), name+"-green-1", client.ContainerInspectOptions{})
				if err != nil || found.Container.ID != foreign.ID ||
					found.Container.State.Status != container.StateCreated {
					t.Errorf("the container is another now: %+v, %v", found.Container.State, err)
				}
				if _, err := engine.ContainerRemove(
					context.Background(),
					foreign.ID,
					client.ContainerRemoveOptions{Force: true},
				); err != nil {
					t.Fatal(err)
				}
			},
			Config:            h.config(version("1.0.0")),
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
	)
}

// The default platform has no block: it is the one that goes which tells that the
// deployment is another.
func TestDockerToTheDefaultPlatform(t *testing.T) {
	t.Parallel()
	name, p := claimDocker(t)
	h, here := &harness{t: t, name: name, platformUnderTest: p}, newLocalHarness(t)
	providers := "provider \"bluegreen\" {\n  " + p.providerBlock() + "\n  " + here.providerBlock() + "\n}\n"
	here.run(
		resource.TestStep{Config: providers + h.resource("web")},
		resource.TestStep{
			Config: providers + here.resource("web", attributes{"name": `"` + here.name + `"`}),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionReplace), planHas(text(here.id(here.name)), "id"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{here.live("1.0.0")},
		},
		resource.TestStep{
			Config: providers + h.resource("web"),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionReplace), planHas(text(p.id(name)), "id"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{h.live("1.0.0")},
		},
	)
}

func TestDockerOpensToAllAddresses(t *testing.T) {
	t.Parallel()
	name, p := claimDocker(t)
	testOpening(&harness{t: t, name: name, platformUnderTest: p}, func(publish string) attributes {
		return attributes{
			"docker": fmt.Sprintf(
				"{ port = %d, pull = \"never\", publish = [%q], agent_image = %q }",
				servicePort,
				publish,
				p.agentImage,
			),
		}
	})
}
