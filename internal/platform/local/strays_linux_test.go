// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// daemonVariable is in the environment of all processes of a release; its value differs for each.
const daemonVariable = "BLUEGREEN_TEST_DAEMON"

// withDaemon makes every replica start a daemon before anything else: its parent ends, and it has
// a session of its own. The test fails if a process of the release is left at its end; call
// withDaemon before newService, which destroys the deployment then.
func withDaemon(t testing.TB, release bluegreen.Release) bluegreen.Release {
	t.Helper()
	const script = `(setsid sleep 600 >/dev/null 2>&1 &); exec "$0"`
	release.Command = append([]string{"/bin/sh", "-c", script}, release.Command...)
	release.Env[daemonVariable] = rand.Text()
	t.Cleanup(func() {
		for _, pid := range processesOf(release) {
			t.Errorf("process %d of %s is left", pid, release.Version)
			_ = syscall.Kill(pid, syscall.SIGKILL)
		}
	})
	return release
}

// processesOf returns the replicas of a release withDaemon, and everything that they started.
func processesOf(release bluegreen.Release) (pids []int) {
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range paths {
		environ, _ := os.ReadFile(path)
		if bytes.Contains(environ, []byte(daemonVariable+"="+release.Env[daemonVariable]+"\x00")) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			pids = append(pids, pid)
		}
	}
	return pids
}

func expectProcesses(t *testing.T, release bluegreen.Release, want int, when string) {
	t.Helper()
	if pids := processesOf(release); len(pids) != want {
		t.Errorf("%s, %s has the processes %v, want %d", when, release.Version, pids, want)
	}
}

// What a replica has started goes with it, even a daemon: when a release is replaced, when it is
// refused, and when the deployment is destroyed. It stays when an agent ends, and the next agent
// ends it as the one before would have.
func TestDaemonsGoWithTheirReplica(t *testing.T) {
	t.Parallel()
	var releases []bluegreen.Release
	for _, version := range []string{"1.0.0", "2.0.0", "3.0.0"} {
		releases = append(releases, withDaemon(t, agenttest.Release(t, version, agenttest.Healthy)))
	}
	sick := withDaemon(t, agenttest.Release(t, "4.0.0", agenttest.Unhealthy))
	s := newService(t, local.Frontend{})
	s.makeLive(releases[0])
	s.makeLive(releases[1])
	expectProcesses(t, releases[0], 2, "as a standby")
	s.makeLive(releases[2])
	expectProcesses(t, releases[0], 0, "after it was replaced")
	expectProcesses(t, releases[1], 2, "as a standby")

	s.Config.HealthCheckRetries = 0
	if err := s.DeployAndSwitch(t.Context(), sick); err == nil {
		t.Error("a sick release was deployed")
	}
	expectProcesses(t, sick, 0, "after it was refused")
	expectProcesses(t, releases[1], 0, "after another release took its place")

	agenttest.Kill(t, s.dir)
	expectProcesses(t, releases[2], 2, "after the end of the agent")
	s.must(s.Destroy(t.Context()))
	expectProcesses(t, releases[2], 0, "after the destroy")
}

// A replica that is started again leaves no daemon behind, whether it ends while an agent runs
// or while none does.
func TestDaemonsGoWithAReplicaThatDies(t *testing.T) {
	t.Parallel()
	release := withDaemon(t, agenttest.Release(t, "1.0.0", agenttest.Healthy))
	s := newService(t, local.Frontend{})
	s.makeLive(release)
	before := s.runs(bluegreen.Green)
	s.crash(s.instances(bluegreen.Green)[0])
	s.awaitRestart(before)
	agenttest.AwaitNoFailure(t, s.endpoint())
	expectProcesses(t, release, 2, "after a restart")

	before = s.runs(bluegreen.Green)
	replica := s.pids()["replica"]
	agenttest.Kill(t, s.dir)
	s.must(syscall.Kill(replica, syscall.SIGKILL))
	s.ensureAgent()
	s.awaitRestart(before)
	agenttest.AwaitNoFailure(t, s.endpoint())
	expectProcesses(t, release, 2, "after a restart by another agent")
}

// edit changes a JSON file of the deployment.
func (s *service) edit(path string, change func(content map[string]any)) {
	s.Helper()
	var content map[string]any
	s.must(json.Unmarshal([]byte(s.file(path)), &content))
	change(content)
	edited, err := json.Marshal(content)
	s.must(err)
	s.must(os.WriteFile(filepath.Join(s.dir, "deployments", s.Deployment, path), edited, 0o600))
}

// An agent was killed after it had stored a new release, and before it had stopped the replicas of
// the former one. The next agent stops those with their own signal.
func TestOrphanIsStoppedWithItsOwnSignal(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
	asked := filepath.Join(t.TempDir(), "asked")
	release.Command = append([]string{"/bin/sh", "-c", `trap 'touch "` + asked + `"; exit 0' QUIT; "$0" & wait`},
		release.Command...)
	release.Settings = local.Settings{StopSignal: "SIGQUIT"}
	s.makeLive(release)
	agenttest.Kill(t, s.dir)
	s.edit("green/workload.json", func(workload map[string]any) {
		workload["revision"] = "ANOTHER"
		delete(workload, "settings")
	})
	s.ensureAgent()
	agenttest.Eventually(t, func() error { return errOf(os.Stat(asked)) })
	agenttest.AwaitNoFailure(t, s.endpoint())
}

// An agent starts beside a stray that ignores its stop signal. It serves the stray's deployment and
// another one while the stray is there, and takes changes of the other one.
func TestAgentServesBesideAStrayThatDoesNotEnd(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	s, other := newServiceIn(t, dir, "web", local.Frontend{}), newServiceIn(t, dir, "other", local.Frontend{})
	release := agenttest.Release(t, "1.0.0", agenttest.Stubborn)
	release.Replicas, release.Settings = 2, local.Settings{StopTimeout: time.Second}
	s.makeLive(release)
	other.deployLive("1.0.0", 1)
	agenttest.Kill(t, dir)
	var stray int
	s.edit("green/replicas/green-2/process.json", func(process map[string]any) {
		pid, _ := process["pid"].(float64)
		stray = int(pid)
		process["stop_timeout_ns"] = time.Hour
	})
	s.edit("green/workload.json", func(workload map[string]any) { workload["replicas"] = 1 })

	other.ensureAgent()
	s.expectVersion("1.0.0")
	other.expectVersion("1.0.0")
	other.deployLive("2.0.0", 1)
	if err := syscall.Kill(stray, 0); err != nil {
		t.Errorf("the stray has ended: %v", err)
	}
	if log := agenttest.Log(t, dir); !strings.Contains(log, "stopping a replica that should not run") {
		t.Errorf("the log is %s", log)
	}
	s.must(syscall.Kill(stray, syscall.SIGKILL))
	agenttest.AwaitExit(t, stray)
	s.expectVersion("1.0.0")
}
