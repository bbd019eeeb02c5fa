// SPDX-License-Identifier: MPL-2.0

//go:build unix && !linux

package process

import (
	"fmt"
	"os/exec"
	"strings"
)

// snapshot is a process at one moment.
type snapshot struct{ pid, parent, group int }

// snapshots returns all processes.
func snapshots() []snapshot {
	output, err := exec.Command("ps", "-axo", "pid=,ppid=,pgid=").Output()
	if err != nil {
		return nil
	}
	var all []snapshot
	for line := range strings.Lines(string(output)) {
		var s snapshot
		if _, err := fmt.Sscan(line, &s.pid, &s.parent, &s.group); err == nil {
			all = append(all, s)
		}
	}
	return all
}

// members returns the processes of the run among all: those of its group and all that descends
// from them.
func (run State) members(all []snapshot) []int {
	members := map[int]bool{}
	var list []int
	for grows := true; grows; {
		grows = false
		for _, s := range all {
			if !members[s.pid] && (s.group == run.PID || members[s.parent]) {
				members[s.pid], grows = true, true
				list = append(list, s.pid)
			}
		}
	}
	return list
}

// allMembers returns the same: these systems show the environment of a process to no other.
func (run State) allMembers(all []snapshot) []int { return run.members(all) }
