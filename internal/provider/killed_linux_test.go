// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/gofrs/flock"
	"github.com/hashicorp/terraform-plugin-testing/helper/resource"
	"github.com/hashicorp/terraform-plugin-testing/knownvalue"
	"github.com/hashicorp/terraform-plugin-testing/plancheck"
	"github.com/hashicorp/terraform-plugin-testing/statecheck"
)

// The agent is killed: a refresh starts nothing and says that nothing runs, and
// apply brings the same processes back.
func TestAgentDown(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var before []string
	w.play(
		resource.TestStep{Config: w.config(version("1.0.0"))},
		resource.TestStep{Config: w.config(version("2.0.0"))},
		resource.TestStep{
			PreConfig: func() {
				before = w.replicas()
				w.killAgent()
			},
			RefreshState:       true,
			ExpectNonEmptyPlan: true,
		},
		resource.TestStep{
			PreConfig: func() {
				if _, err := os.Stat(filepath.Join(w.stateDir, "agent.lock")); err != nil || !w.agentDown() {
					t.Errorf("the refresh has started the agent: %v", err)
				}
			},
			Config: w.config(version("2.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				action(plancheck.ResourceActionUpdate),
				plans(text("deploy-2"), "deployment_id"),
				leavesOpen("environments", "blue", "ready_replicas"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				w.live("2.0.0"),
				has(number(1), "environments", "blue", "ready_replicas"),
				has(knownvalue.Bool(true), "rollback_available"),
			},
		},
		resource.TestStep{
			PreConfig: func() {
				if after := w.replicas(); len(before) != 2 || !slices.Equal(before, after) {
					t.Errorf("processes %v ran before, and %v do now", before, after)
				}
			},
			Config:           w.config(version("2.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
	)
}

// Agent and replicas are killed: apply starts what should run.
func TestEverythingKilled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.play(
		resource.TestStep{Config: w.config(version("1.0.0"))},
		resource.TestStep{
			PreConfig: func() {
				w.killAgent()
				for _, replica := range w.replicas() {
					w.kill(replica)
				}
			},
			Config: w.config(version("1.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				action(plancheck.ResourceActionUpdate), leavesOpen("environments", "green", "ready_replicas"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{w.live("1.0.0"), has(number(1), "environments", "green", "ready_replicas")},
		},
	)
}

// replicas are the process IDs of what was deployed.
func (w localWorld) replicas() []string {
	agent := w.agentPID()
	return slices.DeleteFunc(w.pids(), func(pid string) bool { return pid == agent })
}

// pids are the processes that work in the state directory.
func (w localWorld) pids() []string {
	var pids []string
	for _, link := range w.processes() {
		pids = append(pids, strings.Split(link, "/")[2])
	}
	return pids
}

// agentPID is the process whose working directory is the state directory itself.
func (w localWorld) agentPID() string {
	for _, pid := range w.pids() {
		if dir, err := os.Readlink("/proc/" + pid + "/cwd"); err == nil && dir == w.stateDir {
			return pid
		}
	}
	return ""
}

// killAgent returns once the agent is dead.
func (w localWorld) killAgent() {
	w.t.Helper()
	w.kill(w.agentPID())
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	lock := flock.New(filepath.Join(w.stateDir, "agent.lock"))
	if _, err := lock.TryLockContext(ctx, pause); err != nil {
		w.t.Fatal(err)
	}
	lock.Close()
}

func (w localWorld) agentDown() bool {
	lock := flock.New(filepath.Join(w.stateDir, "agent.lock"))
	defer lock.Close()
	free, err := lock.TryLock()
	return err == nil && free
}

func (w localWorld) kill(pid string) {
	w.t.Helper()
	number, err := strconv.Atoi(pid)
	if err != nil {
		w.t.Fatalf("no process %q", pid)
	}
	process, err := os.FindProcess(number)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}
