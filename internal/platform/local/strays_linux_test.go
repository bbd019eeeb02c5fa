// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"bytes"
	"crypto/rand"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"

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
