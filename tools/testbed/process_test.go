// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A process that has ended is not alive, even if its parent has not waited for it.
func TestOnlyARunningProcessIsAlive(t *testing.T) {
	t.Parallel()
	c := &cluster{layout{Dir: t.TempDir()}}
	comp := component{name: "etcd"}
	if c.isAlive(comp) {
		t.Error("it is alive before there is a process")
	}

	// The name looks like the end of the name in the status file and the state after it.
	name := filepath.Join(t.TempDir(), "x) Z")
	if err := unix.Symlink("/bin/cat", name); err != nil {
		t.Fatal(err)
	}
	process := exec.Command(name)
	input, err := process.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintln(input, "hello"); err != nil {
		t.Error(err)
	}
	if _, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		t.Error(err)
	}
	if err := write(c.Path(comp.name, "pid"), fmt.Sprintln(process.Process.Pid)); err != nil {
		t.Error(err)
	}
	if !c.isAlive(comp) {
		t.Error("a running process is not alive")
	}

	if err := input.Close(); err != nil {
		t.Error(err)
	}
	// WNOWAIT leaves the ended process for Wait.
	if err := unix.Waitid(unix.P_PID, process.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Error(err)
	}
	if c.isAlive(comp) {
		t.Error("a process that has ended is alive")
	}
	if err := process.Wait(); err != nil {
		t.Error(err)
	}
	if c.isAlive(comp) {
		t.Error("a process that is gone is alive")
	}
}
