// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// tick is the unit of CPU time in /proc. It is the same on all systems that Go runs on.
const tick = 10 * time.Millisecond

// stopTimeout is how long a process may take to end after SIGTERM.
const stopTimeout = 5 * time.Second

// start starts a process in a session of its own. So all proxies are alike for the scheduler,
// because the agent has a session of its own, too. stop ends everything in that session.
func start(program string, arguments ...string) (session int, stop func(), err error) {
	command := exec.Command(program, arguments...)
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return 0, nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = command.Wait()
	}()
	session = command.Process.Pid
	return session, func() {
		// An error says that it has ended already.
		_ = syscall.Kill(session, syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(stopTimeout):
			_ = syscall.Kill(-session, syscall.SIGKILL)
			<-ended
		}
		if !command.ProcessState.Success() && command.ProcessState.ExitCode() >= 0 && output.Len() > 0 {
			fmt.Fprintf(os.Stderr, "%s: %s\n%s", filepath.Base(program), command.ProcessState, &output)
		}
	}, nil
}

// outputOf runs a process in a session of its own and returns what it writes to its standard
// output, and the CPU time that it has used.
func outputOf(ctx context.Context, program string, arguments ...string) ([]byte, time.Duration, error) {
	command := exec.CommandContext(ctx, program, arguments...)
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	var errors bytes.Buffer
	command.Stderr = &errors
	output, err := command.Output()
	if ctx.Err() != nil {
		return nil, 0, context.Cause(ctx)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("%s: %w\n%s%s", filepath.Base(program), err, output, &errors)
	}
	return output, command.ProcessState.UserTime() + command.ProcessState.SystemTime(), nil
}

// cpuTime returns the CPU time that the processes of a session have used so far.
func cpuTime(session int) (time.Duration, error) {
	var sum time.Duration
	err := forEachProcess(session, func(_ string, stat []string) error {
		for _, field := range stat[11:13] {
			ticks, err := strconv.Atoi(field)
			if err != nil {
				return err
			}
			sum += time.Duration(ticks) * tick
		}
		return nil
	})
	return sum, err
}

// residentMemory returns how many bytes of memory the processes of a session have.
func residentMemory(session int) (int, error) {
	sum := 0
	err := forEachProcess(session, func(dir string, _ []string) error {
		content, err := os.ReadFile(filepath.Join(dir, "smaps_rollup"))
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(content)) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "Rss:" {
				kilobytes, err := strconv.Atoi(fields[1])
				sum += kilobytes << 10
				return err
			}
		}
		return fmt.Errorf("%s/smaps_rollup has no line with Rss", dir)
	})
	return sum, err
}

// forEachProcess calls f with each process of a session: its directory in /proc, and the
// fields of its stat from the third on, as proc(5) numbers them. It returns an error if there
// is no such process.
func forEachProcess(session int, f func(dir string, stat []string) error) error {
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return err
	}
	found := false
	for _, path := range stats {
		content, err := os.ReadFile(path)
		if err != nil {
			continue // It has just ended.
		}
		// The name of the program before the last parenthesis may contain anything.
		fields := strings.Fields(string(content[bytes.LastIndexByte(content, ')')+1:]))
		if len(fields) < 13 || fields[3] != strconv.Itoa(session) {
			continue
		}
		found = true
		if err := f(filepath.Dir(path), fields); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("process %d has ended", session)
	}
	return nil
}
