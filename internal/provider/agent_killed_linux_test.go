// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
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
	h := newLocalHarness(t)
	var before []string
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"))},
		resource.TestStep{Config: h.config(version("2.0.0"))},
		resource.TestStep{
			PreConfig: func() {
				before = h.replicas()
				h.killAgent()
			},
			RefreshState:       true,
			ExpectNonEmptyPlan: true,
		},
		resource.TestStep{
			PreConfig: func() {
				if _, err := os.Stat(filepath.Join(h.stateDir, "agent.lock")); err != nil || !h.isAgentDown() {
					t.Errorf("the refresh has started the agent: %v", err)
				}
			},
			Config: h.config(version("2.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate),
				planHas(text("deploy-2"), "deployment_id"),
				planHasUnknown("environments", "blue", "ready_replicas"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("2.0.0"),
				stateHas(number(1), "environments", "blue", "ready_replicas"),
				stateHas(knownvalue.Bool(true), "rollback_available"),
			},
		},
		resource.TestStep{
			PreConfig: func() {
				if after := h.replicas(); len(before) != 2 || !slices.Equal(before, after) {
					t.Errorf("processes %v ran before, and %v do now", before, after)
				}
			},
			Config:           h.config(version("2.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{plancheck.ExpectEmptyPlan()}},
		},
	)
}

// The agent is stopped: a plan names its process, and what to do about it.
func TestAgentStopped(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	signal := func(with syscall.Signal) {
		pid, err := strconv.Atoi(h.agentPID())
		if err == nil {
			err = syscall.Kill(pid, with)
		}
		if err != nil {
			t.Error(err)
		}
	}
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"))},
		resource.TestStep{
			PreConfig: func() { signal(syscall.SIGSTOP) },
			Config:    h.config(version("2.0.0")),
			ExpectError: regexp.MustCompile(
				`(?s)agent,\s+process\s+\d+,\s+has\s+not\s+answered\s+for\s+20s.*kill\s+-CONT\s+\d+`),
		},
		resource.TestStep{
			PreConfig:         func() { signal(syscall.SIGCONT) },
			Config:            h.config(version("2.0.0")),
			ConfigStateChecks: []statecheck.StateCheck{h.live("2.0.0")},
		},
	)
}

// Agent and replicas are killed: apply starts what should run.
func TestEverythingKilled(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	h.run(
		resource.TestStep{Config: h.config(version("1.0.0"))},
		resource.TestStep{
			PreConfig: func() {
				h.killAgent()
				for _, replica := range h.replicas() {
					h.kill(replica)
				}
			},
			Config: h.config(version("1.0.0")),
			ConfigPlanChecks: resource.ConfigPlanChecks{PreApply: []plancheck.PlanCheck{
				planIs(plancheck.ResourceActionUpdate), planHasUnknown("environments", "green", "ready_replicas"),
			}},
			ConfigStateChecks: []statecheck.StateCheck{
				h.live("1.0.0"),
				stateHas(number(1), "environments", "green", "ready_replicas"),
			},
		},
	)
}

// replicas are the process IDs of what was deployed.
func (h localHarness) replicas() []string {
	agent := h.agentPID()
	return slices.DeleteFunc(h.pids(), func(pid string) bool { return pid == agent })
}

// pids are the processes that work in the state directory.
func (h localHarness) pids() []string {
	var pids []string
	for _, link := range h.processes() {
		pids = append(pids, strings.Split(link, "/")[2])
	}
	return pids
}

// agentPID is the process whose working directory is the state directory itself.
func (h localHarness) agentPID() string {
	for _, pid := range h.pids() {
		if dir, err := os.Readlink("/proc/" + pid + "/cwd"); err == nil && dir == h.stateDir {
			return pid
		}
	}
	return ""
}

// killAgent returns once the agent is dead.
func (h localHarness) killAgent() {
	h.t.Helper()
	h.kill(h.agentPID())
	ctx, cancel := context.WithTimeout(h.t.Context(), waitLimit)
	defer cancel()
	lock := flock.New(filepath.Join(h.stateDir, "agent.lock"))
	if _, err := lock.TryLockContext(ctx, pollInterval); err != nil {
		h.t.Fatal(err)
	}
	lock.Close()
}

func (h localHarness) isAgentDown() bool {
	lock := flock.New(filepath.Join(h.stateDir, "agent.lock"))
	defer lock.Close()
	free, err := lock.TryLock()
	return err == nil && free
}

func (h localHarness) kill(pid string) {
	h.t.Helper()
	number, err := strconv.Atoi(pid)
	if err != nil {
		h.t.Fatalf("no process %q", pid)
	}
	process, err := os.FindProcess(number)
	if err == nil {
		err = process.Kill()
	}
	if err != nil {
		h.t.Fatal(err)
	}
}
