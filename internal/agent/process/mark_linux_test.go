// SPDX-License-Identifier: MPL-2.0

package process

import (
	"os"
	"os/exec"
	"slices"
	"strconv"
	"syscall"
	"testing"
)

// Where the agent may make no control groups, a daemon that hides ends with its replica all the same:
// when that is stopped, and when it has ended while no agent ran. Meanwhile it may listen on the
// replica's port.
func TestHiddenDaemonEndsWithoutControlGroups(t *testing.T) {
	t.Parallel()
	usingNoControlGroups(t)
	dir, log := t.TempDir(), newScreen()
	p := run(t, dir, hiddenDaemon+`echo ready; sleep 600; :`, log)
	log.await(t, "ready")
	daemon := strayIn(t, dir)
	if members := p.allMembers(snapshots()); len(p.Group) > 0 || !slices.Contains(members, daemon.PID) {
		t.Errorf("process %d is none of %v, and the group is %q", daemon.PID, members, p.Group)
	}
	p.Terminate(termSignal, longTimeout)
	if daemon.isAlive() {
		t.Errorf("process %d is left", daemon.PID)
	}

	dir = t.TempDir()
	state, daemon := endWithoutAgent(t, dir)
	endWithNextAgent(t, dir, state, daemon)
}

// Another user can see the mark of a run and set it. What that user starts is no part of the run, and
// does not end with it.
func TestMarkOfAnotherUserCountsForNothing(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		skipOrFail(t, "only root can start a process of another user")
	}
	log, thiefsLog := newScreen(), newScreen()
	p := run(t, t.TempDir(), `echo ready; sleep 600; :`, log)
	log.await(t, "ready")
	const script = `ulimit -S -m "$0"; echo ready; exec sleep 600`
	thief := exec.Command("/bin/sh", "-c", script, strconv.FormatUint(markOf(p.Incarnation)/markUnit, 10))
	thief.Stdout, thief.Stderr = thiefsLog, thiefsLog
	thief.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if err := thief.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = thief.Process.Kill()
		_ = thief.Wait()
	})
	thiefsLog.await(t, "ready")
	if s, err := snapshotOf(thief.Process.Pid); err != nil || s.rss != markOf(p.Incarnation) {
		t.Fatalf("it has the limit %d: %v", s.rss, err)
	}
	if members := p.allMembers(snapshots()); slices.Contains(members, thief.Process.Pid) {
		t.Errorf("process %d is one of %v", thief.Process.Pid, members)
	}
	isThief := func(s State) bool { return s.PID == thief.Process.Pid }
	if tree := findTree(p.State, nil); slices.ContainsFunc(tree, isThief) {
		t.Errorf("process %d would end with the run: %v", thief.Process.Pid, tree)
	}
}

// A release finds the hard limit as it was, and can set it.
func TestMarkKeepsNobodyFromSettingLimits(t *testing.T) {
	t.Parallel()
	log := newScreen()
	p := run(t, t.TempDir(), "ulimit -m unlimited && ulimit -S -m && ulimit -H -m", log)
	<-p.exited
	if got := log.String(); got != "unlimited\nunlimited\n" {
		t.Errorf("the limits are %s", got)
	}
}
