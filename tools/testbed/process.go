// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// markVariable is in the environment of all processes of the cluster except the pods. It
// identifies them even if their pid file is gone.
const markVariable = "BLUEGREEN_TESTBED_COMPONENT"

// process is a running process.
type process struct {
	pid  int
	args []string
}

// mark returns the value of markVariable for a component. It begins with the state
// directory, so that clusters in two directories do not share it.
func (c *cluster) mark(name string) string { return c.Path(name) }

// markedProcesses returns the processes whose mark begins with prefix.
func markedProcesses(prefix string) ([]process, error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, err
	}
	var found []process
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		// A process that has ended has neither file content, waited for or not.
		environment, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if !slices.ContainsFunc(strings.Split(string(environment), "\x00"), func(variable string) bool {
			return strings.HasPrefix(variable, markVariable+"="+prefix)
		}) {
			continue
		}
		if line, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline")); len(line) > 0 {
			args := strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")
			found = append(found, process{pid: pid, args: args})
		}
	}
	return found, nil
}

// processes returns the component's own processes without the children that it started.
// Containerd's shims hold the pods and outlive containerd.
func (c *cluster) processes(comp component) ([]process, error) {
	found, err := markedProcesses(c.mark(comp.name))
	return slices.DeleteFunc(found, func(p process) bool {
		return filepath.Base(p.args[0]) != filepath.Base(comp.args[0])
	}), err
}

// isCurrent reports whether exactly one process of the component runs, with the configured
// arguments and files.
func (c *cluster) isCurrent(comp component) (bool, error) {
	running, err := c.processes(comp)
	if err != nil {
		return false, err
	}
	for path, text := range comp.files {
		if !hasContent(path, text) {
			return false, nil
		}
	}
	return len(running) == 1 && slices.Equal(running[0].args, comp.args), nil
}

// start starts the component in a session of its own and without a pipe to this process, so
// that it outlives the shell that started it.
func (c *cluster) start(comp component) error {
	for path, text := range comp.files {
		if err := write(path, text); err != nil {
			return err
		}
	}
	log, err := openLog(c.log(comp))
	if err != nil {
		return err
	}
	defer log.Close()
	command := exec.Command(comp.args[0], comp.args[1:]...)
	command.Dir = c.Dir
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.Dir, markVariable + "=" + c.mark(comp.name)}
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", comp.name, err)
	}
	return write(c.Path(comp.name, "pid"), fmt.Sprintln(command.Process.Pid))
}

// isAlive reports whether the process that was started last for the component lives. It
// uses the pid file, because a process has no environment at its very beginning.
func (c *cluster) isAlive(comp component) bool {
	text, err := os.ReadFile(c.Path(comp.name, "pid"))
	if err != nil {
		return false
	}
	status, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(text)), "stat"))
	if err != nil {
		return false
	}
	// The state follows the name. The name is in brackets, and may contain brackets.
	state := strings.TrimSpace(string(status[bytes.LastIndexByte(status, ')')+1:]))
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// stop kills the components, as a crash does. None of them needs to save anything before it
// ends.
func (c *cluster) stop(ctx context.Context, components ...component) error {
	for _, comp := range components {
		running, err := c.processes(comp)
		if err != nil {
			return err
		}
		if err := kill(ctx, running); err != nil {
			return fmt.Errorf("stop %s: %w", comp.name, err)
		}
		if err := os.Remove(c.Path(comp.name, "pid")); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// kill kills the processes and waits until all have ended.
func kill(ctx context.Context, running []process) error {
	for _, p := range running {
		if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return poll(ctx, timeout, func(context.Context) error {
		for _, p := range running {
			if line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", p.pid)); err == nil && len(line) > 0 {
				return fmt.Errorf("process %d (%s) does not end", p.pid, filepath.Base(p.args[0]))
			}
		}
		return nil
	})
}

func (c *cluster) log(comp component) string { return c.Path(comp.name, "log") }

func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	return os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
}

// lastLines returns the last lines of a log for an error message.
func lastLines(path string) string {
	const most = 8
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-most):], []byte("\n")))
}
