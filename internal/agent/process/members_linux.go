// SPDX-License-Identifier: MPL-2.0

package process

import (
	"maps"
	"os"
	"slices"
)

// members returns the processes of the run among all: those of its session and all that descends
// from them.
func (run State) members(all []snapshot) []int {
	return membersOf(all, func(s snapshot) bool {
		return s.pid == run.PID && s.identity == run.Identity || s.session == run.PID
	})
}

// allMembers also returns those that have left the session and their parents, which are found by
// the control group of the run, by its mark, and by the incarnation in their environment. That takes
// longer.
func (run State) allMembers(all []snapshot) []int {
	variable := incarnationVariable + "=" + run.Incarnation
	grouped, isMarked := run.Group.pids(), run.isMarked()
	return membersOf(all, func(s snapshot) bool {
		return s.session == run.PID || grouped[s.pid] || isMarked(s) || hasVariable(s.pid, variable)
	})
}

func membersOf(all []snapshot, isMember func(snapshot) bool) []int {
	members, self := map[int]bool{}, os.Getpid()
	for _, s := range all {
		if s.pid != self && isMember(s) {
			members[s.pid] = true
		}
	}
	addDescendants(all, members, func(s snapshot) { members[s.pid] = true })
	return slices.Sorted(maps.Keys(members))
}
