// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"context"
	"errors"
	"fmt"
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

// updatePhases are those of updates, each of which begins where the one before has ended.
func updatePhases() []phase {
	watched := attributes{"bake_time": `"1s"`}
	return []phase{
		{"deploying 1.1.0", "1.0.0", "1.1.0", []attributes{version("1.1.0"), watched}},
		{"checking the health of 1.2.0", "1.1.0", "1.2.0", []attributes{version("1.2.0"), watched}},
		{"switching traffic to 1.3.0", "1.2.0", "1.3.0", []attributes{version("1.3.0"), watched}},
		{"watching", "1.4.0", "1.4.0", []attributes{version("1.4.0"), watched}},
	}
}

// The agent is killed in every phase of an update, and its parent too. The apply says that the
// agent ended, does not blame the release, and says nothing of what clients get that is not true:
// it has started the agent again. The next apply brings about what is configured.
func TestAgentKilledInEveryPhase(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	tf.apply(h.config(version("1.0.0")))
	for _, phase := range updatePhases() {
		config := h.config(phase.config...)
		tf.write(config)
		output, err := tf.killAgentDuring(phase.reached, h)
		if err == nil {
			t.Errorf("%s: the apply succeeded:\n%s", phase.reached, output)
		}
		mustContain(t, output, "The agent ended during the operation", "That says nothing about the release",
			"Apply again")
		for _, untrue := range []string{"still serves", "was not touched", "is not healthy", "could not be started"} {
			if strings.Contains(output, untrue) {
				t.Errorf("%s: it says %q:\n%s", phase.reached, untrue, output)
			}
		}
		h.answers(phase.from, phase.to)
		tf.apply(config)
		h.answers(phase.to)
		tf.must("plan", "-detailed-exitcode")
	}

	// What is left to do does not fail the apply.
	config := h.config(version("1.5.0"), attributes{"standby": `"remove"`})
	tf.write(config)
	output, err := tf.killAgentDuring("draining and removing", h)
	if err != nil {
		mustContain(t, output, "The agent ended during the operation")
	}
	// The apply may have been over before.
	if err != nil || strings.Contains(output, "was started again") {
		h.answers("1.5.0")
	}
	tf.apply(config)
	h.answers("1.5.0")
	tf.must("plan", "-detailed-exitcode")
}

// The same holds for a create, a rollback, a change of the size and a destroy. What an agent that
// ended has not finished is finished by the next apply.
func TestAgentKilledInOtherOperations(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	mustTellTheTruth := func(output string, err error) {
		t.Helper()
		if err != nil {
			mustContain(t, output, "The agent ended during the operation", "That says nothing about the release")
		}
		for _, untrue := range []string{"still serves", "was not touched", "is not healthy", "could not be started"} {
			if strings.Contains(output, untrue) {
				t.Errorf("it says %q:\n%s", untrue, output)
			}
		}
	}
	tf.write(h.config(version("1.0.0")))
	mustTellTheTruth(tf.killAgentDuring("checking the health of 1.0.0", h))
	tf.apply(h.config(version("1.0.0")))
	h.answers("1.0.0")
	tf.apply(h.config(version("2.0.0")))
	for _, phase := range []phase{
		{"rolling back to 1.0.0", "2.0.0", "1.0.0", []attributes{version("2.0.0"), rollback(true)}},
		{"scaling", "1.0.0", "1.0.0", []attributes{version("2.0.0"), rollback(true), {"replicas": "2"}}},
	} {
		config := h.config(phase.config...)
		tf.write(config)
		output, err := tf.killAgentDuring(phase.reached, h)
		mustTellTheTruth(output, err)
		// The apply may have been over before.
		if err != nil || strings.Contains(output, "was started again") {
			h.answers(phase.from, phase.to)
		}
		tf.apply(config)
		h.answers(phase.to)
		tf.must("plan", "-detailed-exitcode")
	}
	if output, err := tf.killAgentDuring("destroying", h, "destroy", "-auto-approve"); err != nil {
		mustContain(t, output, "The agent ended during the operation")
	}
	tf.must("destroy", "-auto-approve")
	if err := h.requireGone(); err != nil {
		t.Error(err)
	}
}

// Somebody ends the agent with SIGTERM in every phase of an update. That is no fault of the release
// either.
func TestAgentEndedInEveryPhase(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	tf.apply(h.config(version("1.0.0")))
	for _, phase := range updatePhases() {
		config := h.config(phase.config...)
		tf.write(config)
		output, err := tf.endAgentDuring(phase.reached, h, syscall.SIGTERM)
		if err != nil {
			mustContain(t, output, "The agent ended during the operation", "That says nothing about the release")
			h.answers(phase.from, phase.to)
		}
		tf.apply(config)
		h.answers(phase.to)
		tf.must("plan", "-detailed-exitcode")
	}
}

// killAgentDuring is endAgentDuring with SIGKILL.
func (c *cli) killAgentDuring(phase string, h localHarness, command ...string) (output string, err error) {
	c.h.t.Helper()
	return c.endAgentDuring(phase, h, syscall.SIGKILL, command...)
}

// endAgentDuring applies, and ends the agent and its parent in this phase, with a signal.
func (c *cli) endAgentDuring(
	phase string, h localHarness, signal syscall.Signal, command ...string,
) (output string, err error) {
	c.h.t.Helper()
	if len(command) == 0 {
		command = []string{"apply", "-auto-approve"}
	}
	// The agent ends by itself soon after a destroy, and may not run before a create.
	parent, agent := h.parentPID(), h.agentPID()
	run := c.start(c.h.t.Context(), command...)
	if err := run.awaitPhase(phase); err != nil {
		c.h.t.Fatal(err)
	}
	if agent == "" {
		parent, agent = h.parentPID(), h.agentPID()
	}
	if signal == syscall.SIGKILL {
		// Otherwise it ends with the agent.
		h.kill(parent)
	}
	h.send(signal, agent)
	return run.wait()
}

// No agent runs. A plan says that nothing carries the traffic, and so do a refresh, the data source
// and the list, also where they are all that is configured. An apply starts the agent again.
func TestOutageIsSaid(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf, reader := h.terraform(), h.terraform()
	one := fmt.Sprintf("data \"bluegreen_deployment\" \"web\" {\n  name = %q\n  %s\n}\n", h.name, h.dataBlock())
	all := fmt.Sprintf("data \"bluegreen_deployments\" \"all\" {\n  %s\n}\n", h.dataBlock())
	config := h.config(version("1.0.0"))
	tf.apply(config)
	tf.apply(config + one)
	h.answers("1.0.0")
	h.killAgent()
	outage := []string{
		"Nothing carries the traffic",
		"No client can connect to 1.0.0, which is live in green: no agent runs for the state directory " + h.stateDir,
		"The next apply starts the agent again.",
	}
	says := func(output string, more ...string) {
		t.Helper()
		mustContain(t, output, append(more, outage...)...)
		if !h.isAgentDown() {
			t.Error("the agent has been started")
		}
	}
	says(tf.must("plan"), "with bluegreen_deployment.web", "and one more similar warning elsewhere")
	tf.write(config)
	says(tf.must("plan", "-refresh-only"), "with bluegreen_deployment.web")
	says(tf.must("refresh"), "with bluegreen_deployment.web")
	reader.write(h.providerConfig() + one)
	says(reader.must("plan"), "with data.bluegreen_deployment.web")
	reader.write(h.providerConfig() + all)
	says(reader.must("plan"), "with data.bluegreen_deployments.all", fmt.Sprintf("Deployment %q: ", h.name))

	tf.apply(config + one)
	h.answers("1.0.0")
	for _, output := range []string{tf.must("plan", "-detailed-exitcode"), reader.must("plan")} {
		if strings.Contains(output, "Nothing carries the traffic") {
			t.Errorf("the agent runs, and the plan says:\n%s", output)
		}
	}
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
	return slices.DeleteFunc(h.pids(), h.isAgent)
}

// pids are the processes that work in the state directory.
func (h localHarness) pids() []string {
	var pids []string
	for _, link := range h.processes() {
		pids = append(pids, strings.Split(link, "/")[2])
	}
	return pids
}

// isAgent reports whether the working directory of a process is the state directory itself: it is
// the agent or its parent.
func (h localHarness) isAgent(pid string) bool {
	dir, err := os.Readlink("/proc/" + pid + "/cwd")
	return err == nil && dir == h.stateDir
}

// agentPID returns the process of the agent, "" if there is none.
func (h localHarness) agentPID() string { return h.agentProcess(false) }

// parentPID returns the process that starts the agent again when it dies, "" if there is none.
func (h localHarness) parentPID() string { return h.agentProcess(true) }

func (h localHarness) agentProcess(isParent bool) string {
	for _, pid := range h.pids() {
		arguments, err := os.ReadFile("/proc/" + pid + "/cmdline")
		if err == nil && h.isAgent(pid) && strings.Contains(string(arguments), "\x00-restart\x00") == isParent {
			return pid
		}
	}
	return ""
}

// killAgent kills the agent, and before that its parent, which would start it again. It returns
// once the agent is dead.
func (h localHarness) killAgent() {
	h.t.Helper()
	h.kill(h.parentPID())
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
	h.send(syscall.SIGKILL, pid)
}

// send sends a signal to a process, which may have ended.
func (h localHarness) send(signal syscall.Signal, pid string) {
	h.t.Helper()
	number, err := strconv.Atoi(pid)
	if err != nil {
		h.t.Fatalf("no process %q", pid)
	}
	if err := syscall.Kill(number, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		h.t.Fatal(err)
	}
}

var createdInLedger = regexp.MustCompile(`"settled":\s*true`)

// The agent is killed once the create is complete, perhaps before it has answered. The next apply
// has nothing to create.
func TestAgentKilledWhenTheCreateIsComplete(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	config := h.config(version("1.0.0"))
	tf.write(config)
	run := tf.start(t.Context(), "apply", "-auto-approve")
	if err := run.awaitPhase("checking the health of 1.0.0"); err != nil {
		t.Fatal(err)
	}
	parent, agent := h.parentPID(), h.agentPID()
	h.kill(parent)
	ledger := filepath.Join(h.stateDir, "deployments", "web", "ledger.json")
	for isCreated := false; !isCreated && t.Context().Err() == nil; {
		text, err := os.ReadFile(ledger)
		isCreated = err == nil && createdInLedger.Match(text)
	}
	h.kill(agent)
	if output, err := run.wait(); err != nil {
		t.Errorf("%v:\n%s", err, errorIn(output))
	}
	tf.apply(config)
	h.answers("1.0.0")
	tf.must("plan", "-detailed-exitcode")
}
