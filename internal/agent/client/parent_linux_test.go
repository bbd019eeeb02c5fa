// SPDX-License-Identifier: MPL-2.0

package client_test

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
)

func kill(t *testing.T, pid int, with syscall.Signal) {
	t.Helper()
	if pid == 0 {
		t.Fatal("there is no such process")
	}
	if err := syscall.Kill(pid, with); err != nil {
		t.Fatal(err)
	}
}

// awaitAgent waits until another agent than process former serves dir, and returns its process.
func awaitAgent(t *testing.T, dir string, former int) (pid int) {
	t.Helper()
	agenttest.Eventually(t, func() error {
		c := newClient(t, dir)
		var err error
		if pid, err = c.PID(t.Context()); err == nil && pid == former {
			err = fmt.Errorf("process %d still serves", pid)
		}
		return err
	})
	return pid
}

// awaitGone waits until a process has ended.
func awaitGone(t *testing.T, pid int) {
	t.Helper()
	agenttest.Eventually(t, func() error {
		if err := syscall.Kill(pid, 0); err == nil {
			return fmt.Errorf("process %d is still there", pid)
		}
		return nil
	})
}

// An agent that dies is started again each time, later and later, and its log says why.
func TestAgentThatDiesIsStartedAgain(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	if err := launch(t.Context(), t, newClient(t, dir), agentCommand(t)); err != nil {
		t.Fatal(err)
	}
	first := agenttest.PID(t, dir)
	parent := agenttest.Parent(t, dir)
	kill(t, first, syscall.SIGKILL)
	second := awaitAgent(t, dir, first)
	kill(t, second, syscall.SIGQUIT)
	third := awaitAgent(t, dir, second)
	if again := agenttest.Parent(t, dir); again != parent || parent == 0 {
		t.Errorf("the parent was %d and is %d", parent, again)
	}
	for _, line := range []string{
		"the agent ended: signal: killed; it is started again in 500ms",
		"the agent ended: exit status 2; it is started again in 1s",
	} {
		if log := agenttest.Log(t, dir); !strings.Contains(log, line) {
			t.Errorf("%q is not in the log:\n%s", line, log)
		}
	}
	kill(t, third, syscall.SIGTERM)
	awaitGone(t, parent)
	if pid := agenttest.PID(t, dir); pid != 0 {
		t.Errorf("the agent was asked to end, and agent %d serves", pid)
	}
}

// The parent that is asked to end ends the agent too.
func TestParentEndsWithItsAgent(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	if err := launch(t.Context(), t, newClient(t, dir), agentCommand(t)); err != nil {
		t.Fatal(err)
	}
	agent, parent := agenttest.PID(t, dir), agenttest.Parent(t, dir)
	kill(t, parent, syscall.SIGTERM)
	awaitGone(t, parent)
	if err := syscall.Kill(agent, 0); err == nil {
		t.Errorf("process %d, the agent, is left", agent)
	}
}

// The agent outlives its parent.
func TestAgentGoesOnWithoutItsParent(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	c := newClient(t, dir)
	if err := launch(t.Context(), t, c, agentCommand(t)); err != nil {
		t.Fatal(err)
	}
	agent, parent := agenttest.PID(t, dir), agenttest.Parent(t, dir)
	kill(t, parent, syscall.SIGKILL)
	awaitGone(t, parent)
	if err := launch(t.Context(), t, c, agentCommand(t)); err != nil {
		t.Error(err)
	}
	if pid := agenttest.PID(t, dir); pid != agent {
		t.Errorf("the agent was %d and is %d", agent, pid)
	}
	if parent := agenttest.Parent(t, dir); parent != 0 {
		t.Errorf("process %d starts the agent again", parent)
	}
}

// The program of the agent is removed, as that of a CI job is after the job. The agent is started
// again all the same.
func TestAgentIsStartedAgainWithoutItsFile(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	program := dir + "/program"
	if err := os.Link(agentCommand(t)[0], program); err != nil {
		content, err := os.ReadFile(agentCommand(t)[0])
		if err == nil {
			err = os.WriteFile(program, content, 0o700)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := launch(t.Context(), t, newClient(t, dir), []string{program, "agent"}); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	agent := agenttest.PID(t, dir)
	kill(t, agent, syscall.SIGKILL)
	awaitAgent(t, dir, agent)
}

// The parent needs next to nothing.
func TestParentIsSmall(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	if err := launch(t.Context(), t, newClient(t, dir), agentCommand(t)); err != nil {
		t.Fatal(err)
	}
	parent := agenttest.Parent(t, dir)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", parent))
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`RssAnon:\s+(\d+) kB`).FindSubmatch(status)
	if found == nil {
		t.Fatalf("there is no RssAnon in %s", status)
	}
	const limit = 16<<10 + raceMemory
	if kilobytes, err := strconv.Atoi(string(found[1])); err != nil || kilobytes > limit {
		t.Errorf("the parent has %d kB of memory of its own", kilobytes)
	} else {
		t.Logf("the parent has %d kB of memory of its own", kilobytes)
	}
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", parent))
	if err != nil {
		t.Fatal(err)
	}
	for _, entry := range open {
		target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%s", parent, entry.Name()))
		if err == nil && strings.HasPrefix(target, dir) && target != dir+"/agent.log" {
			t.Errorf("the parent has %s open", target)
		}
	}
}
