// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// newServiceOfRun returns a deployment with a live replica. Its agent was started by a process
// with these further variables and files, which has ended.
func newServiceOfRun(t *testing.T, environ []string, files ...*os.File) *service {
	t.Helper()
	dir := agenttest.StateDir(t)
	run := startLockHolder(t, dir, "run", environ, files...)
	s := newServiceIn(t, dir, "web", local.Frontend{})
	s.deployLive("1.0.0", 1)
	run.kill()
	return s
}

// pids returns the agent, its parent and the replica of green.
func (s *service) pids() map[string]int {
	s.Helper()
	_, text := get(s, s.endpoint()+"/pid")
	replica, err := strconv.Atoi(text)
	s.must(err)
	return map[string]int{
		"agent": agenttest.PID(s, s.dir), "parent": agenttest.Parent(s, s.dir), "replica": replica,
	}
}

// environOf returns the environment variables that a process was started with.
func environOf(t testing.TB, pid int) map[string]string {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	if err != nil {
		t.Fatal(err)
	}
	variables := map[string]string{}
	for variable := range bytes.SplitSeq(bytes.TrimSuffix(content, []byte{0}), []byte{0}) {
		name, value, _ := strings.Cut(string(variable), "=")
		variables[name] = value
	}
	return variables
}

// The agent and its replicas outlive the run that starts the agent. They know none of its
// secrets, and the runner of a CI job does not take them for processes of the job.
func TestEnvironmentOfTheRunIsNotInherited(t *testing.T) {
	t.Parallel()
	s := newServiceOfRun(t, []string{
		"RUNNER_TRACKING_ID=github_1", "BUILD_ID=7", "JENKINS_NODE_COOKIE=cookie", "CI_JOB_TOKEN=token",
		"AWS_SECRET_ACCESS_KEY=key", "TF_VAR_password=password", "TF_TOKEN_example_com=token",
		"HTTPS_PROXY=http://user:password@proxy.example", "LC_TIME=de_DE.UTF-8", "XDG_RUNTIME_DIR=/run/user/1",
	})
	parent := []string{
		"BLUEGREEN_AGENT_BY_PROVIDER",
		"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR", "XDG_RUNTIME_DIR", "GORACE",
	}
	wanted := map[string][]string{
		"parent": parent,
		"agent":  append([]string{"BLUEGREEN_AGENT_PARENT"}, parent...),
		"replica": {
			"PATH", "HOME", "USER", "LOGNAME", "LANG", "LANGUAGE", "LC_*", "TZ", "TMPDIR",
			"PORT", "HOST", "BLUEGREEN_ENVIRONMENT", "BLUEGREEN_VERSION", "BLUEGREEN_INCARNATION",
		},
	}
	for name := range agenttest.Release(t, "1.0.0", agenttest.Healthy).Env {
		wanted["replica"] = append(wanted["replica"], name)
	}
	for of, pid := range s.pids() {
		variables := environOf(t, pid)
		for name := range variables {
			kind := name
			if strings.HasPrefix(name, "LC_") {
				kind = "LC_*"
			}
			if !slices.Contains(wanted[of], kind) {
				t.Errorf("the %s has %s", of, name)
			}
		}
		if got := variables["LC_TIME"]; got != "de_DE.UTF-8" {
			t.Errorf("in the %s, LC_TIME is %q", of, got)
		}
		if variables["PATH"] != os.Getenv("PATH") {
			t.Errorf("in the %s, PATH is %q", of, variables["PATH"])
		}
	}
}

// When memory is used up, the kernel ends replicas before the agent.
func TestReplicaHasAHigherOOMScoreThanTheAgent(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	scores := map[string]int{}
	for of, pid := range s.pids() {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/oom_score_adj", pid))
		s.must(err)
		scores[of], err = strconv.Atoi(strings.TrimSpace(string(text)))
		s.must(err)
	}
	if scores["replica"] <= scores["agent"] || scores["replica"] <= scores["parent"] {
		t.Errorf("the scores are %v", scores)
	}
}

// The run holds a lock by an open file, as one under flock does, and has a pipe of its shell. Both
// are free once the run has ended, though the agent and the replica that it started still run.
func TestDescriptorsOfTheRunAreNotInherited(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "deploy.lock")
	held, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Fatal(err)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	s := newServiceOfRun(t, nil, held, writer)
	// The lock belongs to the open file, so it ends with the last descriptor of it.
	for _, file := range []*os.File{held, writer} {
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
	}

	again, err := os.Open(path)
	s.must(err)
	defer again.Close()
	if err := unix.Flock(int(again.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		t.Errorf("the lock: %v", err)
	}
	s.must(reader.SetReadDeadline(time.Now().Add(time.Minute)))
	if n, err := reader.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("reading the pipe returns %d, %v", n, err)
	}
	for of, pid := range s.pids() {
		for descriptor := range 3 {
			target, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", pid, descriptor))
			if err != nil || target != os.DevNull && !strings.HasPrefix(target, s.dir+"/") {
				t.Errorf("descriptor %d of the %s is %s, %v", descriptor, of, target, err)
			}
		}
	}
	s.expectVersion("1.0.0")
}

// An agent that was started with a descriptor keeps it, and its replicas do not get it.
func TestDescriptorsOfTheAgentAreNotInherited(t *testing.T) {
	t.Parallel()
	reader, writer, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	s := newServiceIn(t, agenttest.StateDir(t), "web", local.Frontend{})
	self, err := os.Executable()
	s.must(err)
	agent := exec.Command(self, "agent", "-state-dir", s.dir)
	agent.ExtraFiles = []*os.File{writer}
	s.must(agent.Start())
	t.Cleanup(func() {
		agenttest.Stop(t, s.dir)
		_ = agent.Wait()
	})
	s.must(writer.Close())
	agenttest.Eventually(t, func() error {
		if pid := agenttest.PID(t, s.dir); pid != agent.Process.Pid {
			return fmt.Errorf("process %d serves", pid)
		}
		return nil
	})
	s.deployLive("1.0.0", 1)
	agenttest.Kill(t, s.dir)
	s.must(reader.SetReadDeadline(time.Now().Add(time.Minute)))
	if n, err := reader.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("reading the pipe returns %d, %v", n, err)
	}
	s.ensureAgent()
	s.expectVersion("1.0.0")
}
