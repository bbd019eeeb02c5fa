// SPDX-License-Identifier: MPL-2.0

//go:build unix

package client_test

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// agentCommand runs this binary as an agent.
func agentCommand(t *testing.T) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, "agent"}
}

func newClient(t *testing.T, dir string) *client.Client {
	t.Helper()
	c, err := client.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// launch starts an agent, and locks a deployment of its own until the test ends.
func launch(ctx context.Context, t *testing.T, c *client.Client, command []string) error {
	t.Helper()
	lock, err := c.LaunchAndLock(ctx, command, strings.ToLower(rand.Text()), "ada")
	if err == nil {
		t.Cleanup(func() { lock.Unlock() })
	}
	return err
}

func TestOneAgentStaysHoweverManyAreLaunched(t *testing.T) {
	t.Parallel()
	dir, command := agenttest.StateDir(t), agentCommand(t)
	pids := make([]int, 4)
	var launches sync.WaitGroup
	for i := range pids {
		launches.Go(func() {
			c, err := client.New(dir)
			if err == nil {
				err = launch(t.Context(), t, c, command)
			}
			if err == nil {
				pids[i], err = c.PID(t.Context())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	launches.Wait()
	for _, pid := range pids {
		if pid == 0 || pid != agenttest.PID(t, dir) {
			t.Errorf("the agents are %v", pids)
			break
		}
	}
}

// If another agent serves in the end, the one that was started here would wait for the
// other's end, and then stay.
func TestAgentThatDoesNotServeIsEnded(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	// The process that is started writes its ID, starts the agent that will serve, and
	// stays.
	script := `echo $$ >started; "$0" agent "$@" & exec sleep 600`
	command := []string{"/bin/sh", "-c", script, agentCommand(t)[0]}
	if err := launch(t.Context(), t, newClient(t, dir), command); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(filepath.Join(dir, "started"))
	if err != nil {
		t.Fatal(err)
	}
	started, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if serves := agenttest.PID(t, dir); serves == 0 || serves == started {
		t.Errorf("process %d serves, and %d was started", serves, started)
	}
	if err := syscall.Kill(started, syscall.SIGKILL); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("the process that was started and does not serve is still there: %v", err)
	}
}

func TestAgentThatRunsIsNotLaunchedAgain(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	c := newClient(t, dir)
	if err := launch(t.Context(), t, c, agentCommand(t)); err != nil {
		t.Fatal(err)
	}
	first := agenttest.PID(t, dir)
	if err := launch(t.Context(), t, c, []string{"/does/not/exist"}); err != nil {
		t.Error(err)
	}
	if pid := agenttest.PID(t, dir); pid != first || pid == 0 {
		t.Errorf("the agent was %d and is %d", first, pid)
	}
}

func TestLockLaunchesTheAgentThatGivesIt(t *testing.T) {
	t.Parallel()
	dir, command := agenttest.StateDir(t), agentCommand(t)
	c := newClient(t, dir)
	held, err := c.LaunchAndLock(t.Context(), command, "web", "ada")
	if err != nil {
		t.Fatal(err)
	}
	defer held.Unlock()
	var busy *bluegreen.LockedError
	_, err = c.LaunchAndLock(t.Context(), command, "web", "bob")
	if !errors.As(err, &busy) || busy.Holder.Name != "ada" {
		t.Errorf("a lock that ada holds: %v", err)
	}
}

// An answer of the agent ends the launch, even one that is an error.
func TestRefusalEndsTheLaunch(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	_, err := newClient(t, dir).LaunchAndLock(t.Context(), agentCommand(t), "No DNS label", "ada")
	if err == nil || !strings.Contains(err.Error(), "No DNS label") {
		t.Errorf("got %v", err)
	}
	if agenttest.PID(t, dir) == 0 {
		t.Error("no agent was launched")
	}
}

func TestProgramThatIsNotThereCannotBecomeTheAgent(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	err := launch(t.Context(), t, newClient(t, dir), []string{"/does/not/exist"})
	if err == nil || !strings.Contains(err.Error(), "starting the agent (its log is") ||
		!strings.Contains(err.Error(), "no such file") {
		t.Errorf("got %v", err)
	}
}

func TestAgentIsNotLaunchedWhereItsDirectoryCannotBe(t *testing.T) {
	t.Parallel()
	file := filepath.Join(shortTempDir(t), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	err := launch(t.Context(), t, newClient(t, filepath.Join(file, "state")), agentCommand(t))
	if err == nil || !strings.Contains(err.Error(), "creating the state directory") {
		t.Errorf("got %v", err)
	}
}

func TestLaunchEndsWithItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := agenttest.StateDir(t)
	if err := launch(ctx, t, newClient(t, dir), agentCommand(t)); err == nil {
		t.Error("a launch that was cancelled succeeds")
	}
}
