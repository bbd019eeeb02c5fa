// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"fmt"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// serviceOf returns a deployment with a live release whose agent is of another version.
func serviceOf(t *testing.T, version string) (s *service, agent int) {
	t.Helper()
	dir := agenttest.StateDir(t)
	former := open(t, local.Options{StateDir: dir, Name: "web", AgentCommand: agenttest.AgentOf(t, version)})
	release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
	_, err := former.Create(t.Context(), bluegreen.Desired{
		Release: release, Promote: true, KeepStandby: true, MinHealthyPercent: 100,
	})
	former.must(err)
	return newServiceIn(t, dir, "web", local.Frontend{}), agenttest.PID(t, dir)
}

func (s *service) notice() string {
	s.Helper()
	status, err := s.platform.Observe(s.Context())
	s.must(err)
	return status.Notice
}

// An agent that is older than the provider is named by every plan, and replaced by the next
// change. No client notices, and the replicas are the same.
func TestOlderAgentIsReplacedWithoutADroppedRequest(t *testing.T) {
	t.Parallel()
	s, former := serviceOf(t, "0.9.0")
	want := fmt.Sprintf("The agent, process %d of version 0.9.0, is older than this provider, 1.0.0. "+
		"The next apply that changes a deployment replaces it, without an interruption.", former)
	if got := s.notice(); got != want {
		t.Errorf("the notice is %q", got)
	}
	before, parent := s.runs(bluegreen.Green), agenttest.Parent(t, s.dir)
	load := startLoad(t, s.endpoint())
	s.ensureAgent()
	load.awaitAnswer()
	load.awaitAnswer()
	if answers := load.stop(); load.failed.Load() != 0 || len(answers) != 1 {
		t.Errorf("%d requests failed, and clients were answered %v", load.failed.Load(), answers)
	}
	if pid := agenttest.PID(t, s.dir); pid == former || pid == 0 {
		t.Errorf("the agent was %d and is %d", former, pid)
	}
	if again := agenttest.Parent(t, s.dir); again == parent || again == 0 {
		t.Errorf("the parent was %d and is %d", parent, again)
	}
	if after := s.runs(bluegreen.Green); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the replica was %v and is %v", before, after)
	}
	if got := s.notice(); got != "" {
		t.Errorf("the notice is still %q", got)
	}
	s.deployLive("2.0.0", 1)
}

// An agent that is newer than the provider serves on.
func TestNewerAgentIsKept(t *testing.T) {
	t.Parallel()
	s, former := serviceOf(t, "1.1.0")
	if got := s.notice(); !strings.Contains(got, "of version 1.1.0, is newer than this provider, 1.0.0") {
		t.Errorf("the notice is %q", got)
	}
	s.deployLive("2.0.0", 1)
	if pid := agenttest.PID(t, s.dir); pid != former {
		t.Errorf("the agent was %d and is %d", former, pid)
	}
}

// An agent that a service manager or somebody else has started is left to them: it may have other
// flags.
func TestOlderAgentOfSomebodyElseIsKept(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ shell, want string }{
		"a service": {`SYSTEMD_EXEC_PID=$$ exec "$0" "$@"`, "update the package, and restart the service"},
		// Its variables are those of a service that the shell runs in.
		"by hand": {
			`SYSTEMD_EXEC_PID=1 exec "$0" "$@" -restart -replica-ports 21000-21999`,
			"start the new one with -take-over",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			expectToBeKept(t, c.shell, c.want)
		})
	}
}

// expectToBeKept deploys with an older agent that a shell command has started.
func expectToBeKept(t *testing.T, shell, want string) {
	t.Helper()
	dir := agenttest.StateDir(t)
	arguments := append([]string{"-c", shell}, append(agenttest.AgentOf(t, "0.9.0"), "-state-dir", dir)...)
	agent := exec.Command("/bin/sh", arguments...)
	if err := agent.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		agenttest.Stop(t, dir)
		_ = agent.Wait()
	})
	agenttest.Eventually(t, func() error {
		if agenttest.PID(t, dir) == 0 {
			return fmt.Errorf("no agent serves")
		}
		return nil
	})
	before := agenttest.PID(t, dir)
	s := newServiceIn(t, dir, "web", local.Frontend{})
	s.deployLive("1.0.0", 1)
	if pid := agenttest.PID(t, dir); pid != before {
		t.Errorf("process %d served, and %d does now", before, pid)
	}
	if got := s.notice(); !strings.Contains(got, want) {
		t.Errorf("the notice is %q", got)
	}
}

// The process that starts the agent again dies. A plan says so, and the next apply replaces the agent
// without a dropped request, so that it is started again when it dies too.
func TestAgentThatHasLostItsParentGetsAnother(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	former, before := agenttest.PID(t, s.dir), s.runs(bluegreen.Green)
	if got := s.notice(); got != "" {
		t.Errorf("the notice is %q", got)
	}
	s.must(syscall.Kill(agenttest.Parent(t, s.dir), syscall.SIGKILL))
	want := fmt.Sprintf("The agent, process %d, has lost the process that starts it again when it dies. "+
		"The next apply that changes a deployment replaces it, without an interruption.", former)
	agenttest.Eventually(t, func() error {
		if got := s.notice(); got != want {
			return fmt.Errorf("the notice is %q", got)
		}
		return nil
	})
	load := startLoad(t, s.endpoint())
	s.ensureAgent()
	load.awaitAnswer()
	load.awaitAnswer()
	if answers := load.stop(); load.failed.Load() != 0 || len(answers) != 1 {
		t.Errorf("%d requests failed, and clients were answered %v", load.failed.Load(), answers)
	}
	if got := s.notice(); got != "" {
		t.Errorf("the notice is still %q", got)
	}
	endpoint := s.endpoint()
	agenttest.Crash(t, s.dir)
	agenttest.AwaitNoFailure(t, endpoint)
	if after := s.runs(bluegreen.Green); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("the replica was %v and is %v", before, after)
	}
}
