// SPDX-License-Identifier: MPL-2.0

package process

import (
	"crypto/rand"
	"strings"
)

// FindState returns the state of the replica whose directory is dir, nil if nothing of it is known
// or runs. If its file cannot be read, or tells of a run that has ended, the state is that of the
// process that has the replica's output or works in its directory. The error says why the file
// cannot be read.
func FindState(dir string) (*State, error) {
	state, err := ReadState(dir)
	if err == nil && state != nil && (state.PID == 0 || state.isAlive()) {
		return state, nil
	}
	if found := findRun(dir, state); found != nil {
		return found, err
	}
	return state, err
}

// incarnationLength is how many random characters an incarnation has, 5 bits each.
const incarnationLength = 13

// newIncarnation returns the incarnation of a new run. It tells of the revision, which is found
// with the process when the file with its state is lost.
func newIncarnation(revision string) string { return revision + "-" + rand.Text()[:incarnationLength] }

// RevisionOf returns the revision that an incarnation tells of, "" for that of an earlier version.
func RevisionOf(incarnation string) string {
	if i := strings.LastIndexByte(incarnation, '-'); i >= 0 {
		return incarnation[:i]
	}
	return ""
}
