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

// markVariable is in the environment of everything that the cluster runs but
// the pods: by it a process is known to be ours, whatever became of its pid file.
const markVariable = "BLUEGREEN_TESTBED_COMPONENT"

// process is one that runs.
type process struct {
	pid  int
	args []string
}

// mark is what markVariable holds in a component's processes. It begins with
// the state directory, so that the clusters of two directories stay apart.
func (c *cluster) mark(name string) string { return c.Path(name) }

// marked finds the processes whose mark begins with prefix.
func marked(prefix string) ([]process, error) {
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
		// A process that ends meanwhile has neither; one that is dead and not
		// yet waited for has neither, too.
		environment, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "environ"))
		if !slices.ContainsFunc(strings.Split(string(environment), "\x00"), func(variable string) bool {
			return strings.HasPrefix(variable, markVariable+"="+prefix)
		}) {
			continue
		}
		if line, _ := os.ReadFile(filepath.Join("/proc", entry.Name(), "cmdline")); len(line) > 0 {
			found = append(found, process{pid: pid, args: strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")})
		}
	}
	return found, nil
}

// processes are those of the component itself, not what it started in turn:
// containerd's shims hold the pods and outlive it.
func (c *cluster) processes(comp component) ([]process, error) {
	found, err := marked(c.mark(comp.name))
	return slices.DeleteFunc(found, func(p process) bool {
		return filepath.Base(p.args[0]) != filepath.Base(comp.args[0])
	}), err
}

// current says whether the component runs, once, exactly as it ought to.
func (c *cluster) current(comp component) (bool, error) {
	running, err := c.processes(comp)
	if err != nil {
		return false, err
	}
	for path, text := range comp.files {
		if !same(path, text) {
			return false, nil
		}
	}
	return len(running) == 1 && slices.Equal(running[0].args, comp.args), nil
}

// start runs the component in a session of its own and with no pipe to us, so
// that it outlives the shell and the job that asked for it.
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

// started says whether the process that was started last as the component lives.
// At its very beginning it has no environment yet that it could be known by.
func (c *cluster) started(comp component) bool {
	text, err := os.ReadFile(c.Path(comp.name, "pid"))
	if err != nil {
		return false
	}
	status, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(text)), "stat"))
	if err != nil {
		return false
	}
	// The state follows the name, which is in brackets and may have some in it.
	state := strings.TrimSpace(string(status[bytes.LastIndexByte(status, ')')+1:]))
	return !strings.HasPrefix(state, "Z") && !strings.HasPrefix(state, "X")
}

// stop kills the components. None of them keeps anything that would need a
// farewell, and to those who use the cluster it is a crash.
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

// kill kills the processes and waits until all are gone.
func kill(ctx context.Context, running []process) error {
	for _, p := range running {
		if err := syscall.Kill(p.pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
			return err
		}
	}
	return poll(ctx, limit, func(context.Context) error {
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

// lastLines are the last lines of a log, for an error message.
func lastLines(path string) string {
	const most = 8
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-most):], []byte("\n")))
}
