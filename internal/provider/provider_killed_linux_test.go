// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// phase is one in which the provider is killed, with what clients may be answered
// by then, and what is configured.
type phase struct {
	reached, from, to string
	config            []attributes
}

// The provider is killed in every phase of an update, on every platform. Clients
// are served all the time, and the next apply brings about what is configured.
func TestKilledInEveryPhase(t *testing.T) {
	t.Parallel()
	watched := attributes{"bake_time": `"500ms"`}
	phases := []phase{
		{"deploying 1.1.0", "1.0.0", "1.1.0", []attributes{version("1.1.0")}},
		{"checking the health of 1.2.0", "1.1.0", "1.2.0", []attributes{version("1.2.0")}},
		{"switching traffic to 1.3.0", "1.2.0", "1.3.0", []attributes{version("1.3.0")}},
		{"watching", "1.4.0", "1.4.0", []attributes{version("1.4.0"), watched}},
		{"rolling back to 1.3.0", "1.4.0", "1.3.0", []attributes{version("1.4.0"), rollback(true)}},
		{"scaling", "1.3.0", "1.3.0", []attributes{version("1.4.0"), rollback(true), {"replicas": "2"}}},
		{"draining and removing", "1.5.0", "1.5.0", []attributes{version("1.5.0"), {"standby": `"remove"`}}},
	}
	onEachPlatform(t, func(h *harness) {
		if p, ok := h.platformUnderTest.(*dockerTestPlatform); ok {
			// The provider is a real one, and can be the agent itself.
			p.agentImage = ""
		}
		h.killInPhases(phases)
	})
}

// killInPhases kills the provider in these phases, one after the other, and destroys
// what came of it.
func (h *harness) killInPhases(phases []phase) {
	h.t.Helper()
	tf := h.terraform()
	tf.apply(h.config(version("1.0.0")))
	for _, phase := range phases {
		config := h.config(phase.config...)
		tf.write(config)
		tf.killDuring(phase.reached)
		h.answers(phase.from, phase.to)
		tf.apply(config)
		h.answers(phase.to)
		// This fails unless the plan is empty.
		tf.must("plan", "-detailed-exitcode")
	}
	tf.killDuring("destroying", "destroy", "-auto-approve")
}

// The provider is killed in every phase of the first deploy: the next apply
// finishes it, or begins afresh.
func TestKilledWhileCreating(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	config := h.config(version("1.0.0"), attributes{"bake_time": `"500ms"`})
	for _, phase := range []string{"deploying", "checking the health", "switching traffic", "watching"} {
		tf.write(config)
		tf.killDuring(phase)
		tf.apply(config)
		h.answers("1.0.0")
		tf.must("destroy", "-auto-approve")
	}

	// Once it serves, another release is not deployed over what no state knows.
	tf.write(config)
	tf.killDuring("watching")
	tf.write(h.config(version("2.0.0")))
	mustContain(
		t,
		tf.mustFail("apply", "-auto-approve"),
		"A deployment of this name exists already",
		"terraform import ADDRESS web",
	)
	h.answers("1.0.0")
	tf.must("import", address, "web")
	tf.apply(h.config(version("2.0.0")))
	h.answers("2.0.0")
}

// killDuring runs a command, apply unless given, and kills the provider with kill -9
// in this phase.
func (c *cli) killDuring(phase string, command ...string) {
	c.h.t.Helper()
	if len(command) == 0 {
		command = []string{"apply", "-auto-approve"}
	}
	run := c.start(c.h.t.Context(), command...)
	if err := run.awaitPhase(phase); err != nil {
		c.h.t.Fatal(err)
	}
	for _, pid := range childrenOf(c.h.t, run.Process.Pid) {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			c.h.t.Logf("killing %d: %v", pid, err)
		}
	}
	// Whether the command noticed depends on how far the provider was.
	_, _ = run.wait()
	if err := c.h.expireLock(c.h.t.Context(), c.h.name); err != nil {
		c.h.t.Fatal(err)
	}
}

// childrenOf returns the process IDs of what a process has started.
func childrenOf(t *testing.T, parent int) []int {
	t.Helper()
	lists, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(parent), "task", "*", "children"))
	if err != nil {
		t.Fatal(err)
	}
	var children []int
	for _, list := range lists {
		content, err := os.ReadFile(list)
		if err != nil {
			continue
		}
		for pid := range strings.FieldsSeq(string(content)) {
			if number, err := strconv.Atoi(pid); err == nil {
				children = append(children, number)
			}
		}
	}
	return children
}
