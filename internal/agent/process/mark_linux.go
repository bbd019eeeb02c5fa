// SPDX-License-Identifier: MPL-2.0

package process

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process/listener"
)

// A run has a mark, by which what it starts is found where the agent may make no control group: the
// soft limit RLIMIT_RSS. A process inherits it from the one that starts it, whatever it does to its
// environment, its session and its parents. Linux has not limited anything by it since 2.4.30, and
// hardly a program changes it. One that does can: the hard limit stays as it was. The marks are so
// large that a program that takes the limit for the memory that there is finds it unlimited.
//
// Kernels of 32 bits have no such limit, and their runs no mark.

// Marks are leastMark and more, less than twice that, and multiples of markUnit, because shells show
// and set the limit in KiB.
const (
	leastMark = 1 << 62
	markUnit  = 1 << 10
)

// markOf returns the mark of the run, which tells nothing of its incarnation.
func markOf(incarnation string) uint64 {
	hash := sha256.Sum256([]byte(incarnation))
	return leastMark | binary.BigEndian.Uint64(hash[:])&(leastMark-markUnit)
}

// isMark reports whether the limit can be the mark of a run.
func isMark(limit uint64) bool { return limit/leastMark == 1 && limit%markUnit == 0 }

// setMark gives this process the mark of the run, unless the hard limit is lower.
func setMark(incarnation string) { setSoftRSS(func(unix.Rlimit) uint64 { return markOf(incarnation) }) }

// removeMark takes from this process the mark of a run that has started it.
func removeMark() {
	setSoftRSS(func(limit unix.Rlimit) uint64 {
		if isMark(limit.Cur) {
			return limit.Max
		}
		return limit.Cur
	})
}

// setSoftRSS sets the soft limit RLIMIT_RSS of this process.
func setSoftRSS(choose func(unix.Rlimit) uint64) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_RSS, &limit); err != nil {
		return
	}
	limit.Cur = choose(limit)
	_ = unix.Setrlimit(unix.RLIMIT_RSS, &limit)
}

// isMarked returns a function that reports whether a process has the mark of the run and acts as the
// same users as its first process. Any user of the machine can see the mark and set it.
func (run State) isMarked() func(snapshot) bool {
	want, users := markOf(run.Incarnation), listener.UsersOf(run.PID)
	return func(s snapshot) bool { return s.rss == want && slices.Equal(listener.UsersOf(s.pid), users) }
}
