// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agenttest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
)

// Start starts an agent of dir with these flags, which stays even if it has nothing to do. ended
// waits for its end, and returns how it ended and what it wrote.
func Start(t testing.TB, dir string, flags ...string) (pid int, ended func() (string, error)) {
	t.Helper()
	output, err := os.CreateTemp(t.TempDir(), "agent")
	if err != nil {
		t.Fatal(err)
	}
	defer output.Close()
	arguments := append([]string{"agent", "-state-dir", dir, "-linger", api.LingerForever}, flags...)
	command := exec.Command(os.Args[0], arguments...)
	// Main would run itself again without the variable.
	command.Env, command.Dir = append(process.AgentEnviron(), raceVariable+"="+raceOptions), filepath.Dir(dir)
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = process.NewSession()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- command.Wait() }()
	return command.Process.Pid, func() (string, error) {
		err := <-end
		end <- err
		written, _ := os.ReadFile(output.Name())
		return string(written), err
	}
}

// TakeOver starts an agent that takes over from the one that serves dir, and returns the pid of
// that one once the new one serves.
func TakeOver(t testing.TB, dir string) (former int) {
	t.Helper()
	former = PID(t, dir)
	next, _ := Start(t, dir, "-take-over")
	AwaitAgent(t, dir, next)
	return former
}

// AwaitAgent waits until the agent that serves dir is the process pid.
func AwaitAgent(t testing.TB, dir string, pid int) {
	t.Helper()
	AwaitAgentOrEnd(t, dir, pid, nil)
}

// AwaitAgentOrEnd waits until the agent that serves dir is the process pid, or ended is closed. It
// reports whether the agent serves.
func AwaitAgentOrEnd(t testing.TB, dir string, pid int, ended <-chan struct{}) (serves bool) {
	t.Helper()
	c, err := client.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	Eventually(t, func() error {
		select {
		case <-ended:
			return nil
		default:
		}
		now, err := c.PID(context.Background())
		if err != nil || now != pid {
			return fmt.Errorf("process %d serves, and not %d: %w", now, pid, err)
		}
		serves = true
		return nil
	})
	return serves
}

// AwaitExit waits until a process that the test has started, or one of its agents has, is gone.
func AwaitExit(t testing.TB, pid int) {
	t.Helper()
	Eventually(t, func() error {
		if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("process %d is there, %w", pid, err)
		}
		return nil
	})
}
