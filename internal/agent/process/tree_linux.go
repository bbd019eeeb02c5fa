// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process/listener"
)

// snapshot is a process at one moment.
type snapshot struct {
	pid, parent, group, session int
	identity                    string
	// rss is its soft limit RLIMIT_RSS; see setMark.
	rss uint64
}

// snapshots returns all processes that have not ended.
func snapshots() []snapshot {
	entries, _ := os.ReadDir("/proc")
	var all []snapshot
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil {
			continue
		}
		if s, err := snapshotOf(pid); err == nil {
			all = append(all, s)
		}
	}
	return all
}

// snapshotOf returns an error if the process has ended. A zombie has.
func snapshotOf(pid int) (snapshot, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return snapshot{}, fmt.Errorf("looking process %d up: %w", pid, err)
	}
	// The name, in parentheses, may hold anything. The state (3), the parent (4), the group (5),
	// the session (6), the start time (22) and the limit RLIMIT_RSS (25) follow it; see
	// proc_pid_stat(5).
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 23 || fields[0] == "Z" || fields[0] == "X" {
		return snapshot{}, fmt.Errorf("process %d has ended", pid)
	}
	boot, err := bootID()
	if err != nil {
		return snapshot{}, fmt.Errorf("looking process %d up: %w", pid, err)
	}
	s := snapshot{pid: pid, identity: fields[19] + "@" + boot}
	for i, number := range []*int{&s.parent, &s.group, &s.session} {
		if *number, err = strconv.Atoi(fields[1+i]); err != nil {
			return snapshot{}, fmt.Errorf("looking process %d up: %w", pid, err)
		}
	}
	if s.rss, err = strconv.ParseUint(fields[22], 10, 64); err != nil {
		return snapshot{}, fmt.Errorf("looking process %d up: %w", pid, err)
	}
	return s, nil
}

// hasVariable reports whether the process was started with variable, "NAME=value". It is false
// for a process whose environment this user may not see.
func hasVariable(pid int, variable string) bool {
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
	return err == nil && bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+variable+"\x00"))
}

// findTree returns what belongs to the run: what is still there of seen, what is in its control
// group, what has its mark or its incarnation, what is in the session that it led, and all that
// descends from these.
func findTree(run State, seen []State) []State {
	all := snapshots()
	// The group is read after the list, so that a pid of both cannot be that of a process that has
	// ended before the one in the group was started.
	grouped := run.Group.pids()
	mark, variable := markOf(run.Incarnation), incarnationVariable+"="+run.Incarnation
	isSession := run.PID != 0 && !slices.ContainsFunc(all, func(s snapshot) bool {
		// The session is that of another process by now.
		return s.pid == run.PID && s.identity != run.Identity
	})
	var tree []State
	members, self := map[int]bool{}, os.Getpid()
	add := func(s snapshot) {
		members[s.pid] = true
		if errors.Is(unix.Kill(s.pid, 0), unix.EPERM) {
			return // Another user's, such as one of sudo: nothing waits for its end.
		}
		tree = append(tree, State{Incarnation: run.Incarnation, PID: s.pid, Identity: s.identity})
	}
	for _, s := range all {
		wasSeen := slices.ContainsFunc(seen, func(t State) bool { return t.PID == s.pid && t.Identity == s.identity })
		isInSession := isSession && s.session == run.PID
		isFound := wasSeen || grouped[s.pid] || isInSession || (s.rss == mark && actsAsAgent(s.pid))
		if s.pid != self && (isFound || hasVariable(s.pid, variable)) {
			add(s)
		}
	}
	addDescendants(all, members, add)
	return tree
}

// actsAsAgent reports whether the process acts as the same users as the agent. Any user of the
// machine can see a mark and set it, so the mark of a process of another user counts for nothing.
// A release with another user is found by its control group.
func actsAsAgent(pid int) bool {
	return slices.Equal(listener.UsersOf(pid), listener.UsersOf(os.Getpid()))
}

// addDescendants calls add, which adds to members, for all that descends from members.
func addDescendants(all []snapshot, members map[int]bool, add func(snapshot)) {
	for grows := true; grows; {
		grows = false
		for _, s := range all {
			if members[s.parent] && !members[s.pid] {
				add(s)
				grows = true
			}
		}
	}
}

// kill sends SIGKILL to the process, and to no other that has its pid by now.
func (s State) kill() {
	// It holds on to the process, where the system supports that.
	process, err := os.FindProcess(s.PID)
	if err != nil {
		return
	}
	defer func() { _ = process.Release() }()
	if s.isAlive() {
		_ = process.Signal(killSignal)
	}
}

// awaitEnd waits until the process has ended, and reports whether it has by the deadline.
func (s State) awaitEnd(deadline time.Time) bool {
	err := pidfdWait(s.PID, deadline, s.isAlive)
	for err != nil && !errors.Is(err, os.ErrDeadlineExceeded) && s.isAlive() && time.Now().Before(deadline) {
		time.Sleep(strayPoll)
	}
	return !s.isAlive()
}
