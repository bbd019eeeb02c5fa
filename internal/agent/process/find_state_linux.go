// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// findRun returns the run of the replica whose directory is dir, nil if there is none. ended, which
// may be nil, is a run of it that has ended: what that has left behind is not the replica.
func findRun(dir string, ended *State) *State {
	output, err := os.Stat(filepath.Join(dir, outputPipe))
	if err != nil {
		return nil
	}
	var found *State
	for _, s := range snapshots() {
		// What the replica has started is in its session, or in one that was made later.
		if s.group != s.pid || !s.belongsTo(dir, output) {
			continue
		}
		state := s.state()
		if state.Incarnation == "" || ended != nil && state.Incarnation == ended.Incarnation {
			continue
		}
		if found == nil || startTime(state.Identity) < startTime(found.Identity) {
			found = &state
		}
	}
	return found
}

// belongsTo reports whether the process writes to output or works in dir.
func (s snapshot) belongsTo(dir string, output os.FileInfo) bool {
	for _, descriptor := range []int{1, 2} {
		file, err := os.Stat(fmt.Sprintf("/proc/%d/fd/%d", s.pid, descriptor))
		if err == nil && os.SameFile(file, output) {
			return true
		}
	}
	work, err := os.Readlink(fmt.Sprintf("/proc/%d/cwd", s.pid))
	return err == nil && strings.HasPrefix(work, dir+string(filepath.Separator))
}

// state is what the environment of the process says.
func (s snapshot) state() State {
	state := State{PID: s.pid, Identity: s.identity}
	environ, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", s.pid))
	if err != nil {
		return state
	}
	for variable := range bytes.SplitSeq(environ, []byte{0}) {
		name, value, _ := strings.Cut(string(variable), "=")
		switch name {
		case incarnationVariable:
			state.Incarnation, state.Revision = value, RevisionOf(value)
		case "PORT":
			state.Port, _ = strconv.Atoi(value)
		}
	}
	return state
}

// startTime is when a process with this identity was started.
func startTime(identity string) uint64 {
	ticks, _, _ := strings.Cut(identity, "@")
	time, _ := strconv.ParseUint(ticks, 10, 64)
	return time
}
