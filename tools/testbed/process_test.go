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

// A component has started as long as its process lives. One that has ended, and
// that nobody has waited for, does not.
func TestOnlyAProcessThatLivesHasStarted(t *testing.T) {
	t.Parallel()
	c := &cluster{layout{Dir: t.TempDir()}}
	comp := component{name: "etcd"}
	if c.started(comp) {
		t.Error("it has started before there is any process")
	}

	// Its name ends like the part of the status that is looked for.
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
	if _, err := fmt.Fprintln(input, "it lives"); err != nil {
		t.Error(err)
	}
	if _, err := bufio.NewReader(output).ReadString('\n'); err != nil {
		t.Error(err)
	}
	if err := write(c.Path(comp.name, "pid"), fmt.Sprintln(process.Process.Pid)); err != nil {
		t.Error(err)
	}
	if !c.started(comp) {
		t.Error("a process that lives has not started")
	}

	if err := input.Close(); err != nil {
		t.Error(err)
	}
	// This leaves it to be waited for.
	if err := unix.Waitid(unix.P_PID, process.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil); err != nil {
		t.Error(err)
	}
	if c.started(comp) {
		t.Error("a process that has ended has started")
	}
	if err := process.Wait(); err != nil {
		t.Error(err)
	}
	if c.started(comp) {
		t.Error("a process that is gone has started")
	}
}
