// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/gofrs/flock"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// The state directory is replaced while the agent runs, and another agent deploys the same name in
// the new one. The first agent says so in the log and goes on serving. It gives no lock, starts no
// replica again, and when it is ended, its replicas end with it. The new deployment is not harmed.
func TestAgentOutlivesItsDirectory(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	s := open(t, local.Options{StateDir: dir, Name: "web"})
	s.deployLive("1.0.0", 2)
	endpoint, agent, parent := s.endpoint(), agenttest.PID(t, dir), agenttest.Parent(t, dir)
	pids := askForPIDs(t, endpoint, 2)
	aside := dir + "-aside"
	s.must(os.Rename(dir, aside))
	t.Cleanup(func() { s.must(os.RemoveAll(aside)) })
	s.must(os.Mkdir(dir, 0o700))
	next := newServiceIn(t, dir, "web", local.Frontend{})
	next.deployLive("2.0.0", 2)
	before, runs := next.files(), next.runs(bluegreen.Green)

	awaitLog(t, dir, "was removed or replaced while the agent runs")
	s.must(syscall.Kill(pids[0], syscall.SIGKILL))
	awaitLog(t, dir, "replica cannot be started")
	if status, body := get(t, endpoint); status != http.StatusOK || body != "1.0.0" {
		t.Errorf("a client is answered %d %q", status, body)
	}
	moved, err := agentclient.New(aside)
	s.must(err)
	if _, err := moved.Lock(t.Context(), "web", "ada"); err == nil ||
		!strings.Contains(err.Error(), fmt.Sprintf(`with "kill %d"`, agent)) {
		t.Errorf("got %v", err)
	}
	s.must(os.RemoveAll(aside))
	err = local.CheckListen(dir, "other", strings.TrimPrefix(endpoint, "http://"))
	want := fmt.Sprintf("by process %d, an agent whose state directory was removed: end it", agent)
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want %q", err, want)
	}
	s.must(syscall.Kill(agent, syscall.SIGTERM))
	for _, pid := range append(pids, agent, parent) {
		agenttest.AwaitExit(t, pid)
	}

	next.expectVersion("2.0.0")
	if after := next.files(); !maps.Equal(after, before) {
		t.Errorf("the files of the new deployment were %v and are %v", before, after)
	}
	agenttest.Kill(t, dir)
	next.ensureAgent()
	if after := next.runs(bluegreen.Green); !slices.Equal(after, runs) {
		t.Errorf("the new replicas were %q and are %q", runs, after)
	}
	next.expectVersion("2.0.0")
}

// askForPIDs returns the processes of all replicas of a service.
func askForPIDs(t *testing.T, endpoint string, replicas int) (pids []int) {
	t.Helper()
	agenttest.Eventually(t, func() error {
		_, text := get(t, endpoint+"/pid")
		pid, err := strconv.Atoi(text)
		if err == nil && !slices.Contains(pids, pid) {
			pids = append(pids, pid)
		}
		if len(pids) < replicas {
			return fmt.Errorf("only %d replicas have answered, %w", len(pids), err)
		}
		return nil
	})
	return pids
}

// awaitLog waits until the log of the agents of dir contains text.
func awaitLog(t *testing.T, dir, text string) {
	t.Helper()
	agenttest.Eventually(t, func() error {
		if log := agenttest.Log(t, dir); !strings.Contains(log, text) {
			return errors.New("it is not in the log: " + log)
		}
		return nil
	})
}

// files returns the files of the deployment, with what is in each.
func (s *service) files() map[string]string {
	s.Helper()
	found := map[string]string{}
	root := filepath.Join(s.dir, "deployments", s.Deployment)
	s.must(filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		found[path] = string(content)
		return err
	}))
	return found
}

// Somebody restores a copy of the lock file, or removes the file. The agent locks the new one and
// its replicas go on, also when it is ended.
func TestReplacedLockFileEndsNoReplica(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	runs, path := s.runs(bluegreen.Green), filepath.Join(s.dir, "agent.lock")
	s.must(os.Remove(path))
	s.must(os.WriteFile(path, nil, 0o600))
	awaitLog(t, s.dir, "the lock file was removed or replaced")
	_, ended := agenttest.Start(t, s.dir)
	if output, err := ended(); err != nil || !strings.Contains(output, "another agent serves") {
		t.Errorf("a second agent ends with %v: %s", err, output)
	}
	agenttest.Stop(t, s.dir)
	s.ensureAgent()
	if after := s.runs(bluegreen.Green); !slices.Equal(after, runs) {
		t.Errorf("the replicas were %q and are %q", runs, after)
	}
	s.expectVersion("1.0.0")
}

// Another agent locks the new lock file before the one that serves does. That one leaves, and its
// replicas go on.
func TestAgentLeavesADirectoryThatAnotherOneHasLocked(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	runs, agent, path := s.runs(bluegreen.Green), agenttest.PID(t, s.dir), filepath.Join(s.dir, "agent.lock")
	// It is moved into place, so that the agent does not find it before it is locked.
	other := flock.New(path + ".new")
	s.must(other.Lock())
	t.Cleanup(func() { s.must(other.Close()) })
	s.must(os.Rename(path+".new", path))
	agenttest.AwaitExit(t, agent)
	awaitLog(t, s.dir, "another agent has locked the new one")
	s.must(other.Unlock())
	s.ensureAgent()
	if after := s.runs(bluegreen.Green); !slices.Equal(after, runs) {
		t.Errorf("the replicas were %q and are %q", runs, after)
	}
	s.expectVersion("1.0.0")
}
