// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/gofrs/flock"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// StateDir returns a state directory with a path that is short enough for a
// socket. When the test ends its agent is stopped, and the test fails if a
// process is left, or if the agent had a data race.
func StateDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "bg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		Stop(t, dir)
		awaitParents(t, dir)
		for _, process := range processesIn(dir) {
			t.Errorf("a process is left: %s", process)
		}
		log := Log(t, dir)
		if strings.Contains(log, "DATA RACE") || strings.Contains(log, "panic:") {
			t.Error("the agent has a data race, or panicked")
		}
		if t.Failed() {
			t.Logf("the agent's log:\n%s", log)
		}
		if err := durable.RemoveTree(context.WithoutCancel(t.Context()), dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// Log returns the agent's log.
func Log(t testing.TB, dir string) string {
	t.Helper()
	log, err := os.ReadFile(filepath.Join(dir, "agent.log"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	return string(log)
}

// PID returns the process of the agent that serves dir, 0 if none does.
func PID(t testing.TB, dir string) int {
	t.Helper()
	c, err := client.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := c.PID(context.Background())
	if err != nil && !errors.Is(err, client.ErrNotRunning) {
		t.Fatal(err)
	}
	return pid
}

// Stop sends SIGTERM to the agent that serves dir, if any, and returns when it has
// ended. Its replicas stay.
func Stop(t testing.TB, dir string) { t.Helper(); end(t, dir, syscall.SIGTERM) }

// Kill sends SIGKILL to the agent that serves dir, if any, and before that to its parent, so
// that it is not started again. It returns when the agent has ended. Its replicas stay.
func Kill(t testing.TB, dir string) {
	t.Helper()
	if parent := Parent(t, dir); parent != 0 {
		if err := syscall.Kill(parent, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
	}
	end(t, dir, syscall.SIGKILL)
}

// Crash sends SIGKILL to the agent that serves dir, and leaves it to its parent to start it again.
func Crash(t testing.TB, dir string) {
	t.Helper()
	if err := syscall.Kill(PID(t, dir), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// Parent returns the parent of the agent that serves dir, 0 if it has none.
func Parent(t testing.TB, dir string) int {
	t.Helper()
	c, err := client.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	parent, err := c.Parent(context.Background())
	if err != nil && !errors.Is(err, client.ErrNotRunning) {
		t.Fatal(err)
	}
	return parent
}

// awaitParents waits until the parents of the agents of dir have ended. They end after the agents.
func awaitParents(t testing.TB, dir string) {
	t.Helper()
	Eventually(t, func() error {
		if left := processesAt(func(cwd string) bool { return cwd == dir }); len(left) > 0 {
			return fmt.Errorf("still there: %q", left)
		}
		return nil
	})
}

func end(t testing.TB, dir string, with syscall.Signal) {
	t.Helper()
	pid := PID(t, dir)
	if pid == 0 {
		return
	}
	if err := syscall.Kill(pid, with); err != nil {
		t.Fatal(err)
	}
	AwaitEnd(t, dir)
}

// KillAll kills the agent and every replica of dir, as a crash of the machine does. The
// system must have /proc.
func KillAll(t testing.TB, dir string) {
	t.Helper()
	Kill(t, dir)
	for _, process := range processesIn(dir) {
		digits, _, _ := strings.Cut(process, " ")
		pid, err := strconv.Atoi(digits)
		if err == nil {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		if err != nil && !errors.Is(err, syscall.ESRCH) {
			t.Fatalf("killing %s: %v", process, err)
		}
	}
	Eventually(t, func() error {
		if left := processesIn(dir); len(left) > 0 {
			return fmt.Errorf("still there: %q", left)
		}
		return nil
	})
}

// AwaitEnd waits until no agent holds the lock of dir, which an agent does until it ends.
func AwaitEnd(t testing.TB, dir string) {
	t.Helper()
	lock := flock.New(filepath.Join(dir, "agent.lock"))
	if err := lock.Lock(); err != nil {
		t.Fatal(err)
	}
	if err := lock.Close(); err != nil {
		t.Fatal(err)
	}
}

// processesIn lists the processes that work below dir, which agents and their parents don't. It
// is empty on systems without /proc.
func processesIn(dir string) []string {
	return processesAt(func(cwd string) bool { return strings.HasPrefix(cwd, dir+"/") })
}

// processesAt lists the processes whose working directory is one of these.
func processesAt(isOneOf func(cwd string) bool) []string {
	var found []string
	links, _ := filepath.Glob("/proc/[0-9]*/cwd")
	for _, link := range links {
		if at, err := os.Readlink(link); err != nil || !isOneOf(at) {
			continue
		}
		arguments, _ := os.ReadFile(filepath.Join(filepath.Dir(link), "cmdline"))
		pid, command := filepath.Base(filepath.Dir(link)), bytes.ReplaceAll(arguments, []byte{0}, []byte(" "))
		found = append(found, pid+" "+string(command))
	}
	return found
}

// FreeAddress returns an address on loopback that nothing listens on.
func FreeAddress(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

// Occupy listens on address until free is called or the test ends.
func Occupy(t testing.TB, address string) (free func()) {
	t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	free = sync.OnceFunc(func() { listener.Close() })
	t.Cleanup(free)
	return free
}
