// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// identify tells this process from all others that had or will have the same pid. It
// returns when the process started and the boot of the system. A zombie does not count as a process.
func identify(pid int) (string, error) {
	found, err := snapshotOf(pid)
	return found.identity, err
}

// bootID tells the time since the start of the machine from that since every other start.
var bootID = sync.OnceValues(func() (string, error) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return string(bytes.TrimSpace(id)), err
})

// isOfThisBoot reports whether a process with this state may still have left something behind:
// nothing survives a restart of the machine.
func (s State) isOfThisBoot() bool {
	_, boot, isKnown := strings.Cut(s.Identity, "@")
	current, err := bootID()
	return !isKnown || err != nil || boot == current
}

// awaitNonChild returns when a process that is not a child has ended, or with an
// error if the system cannot report that.
func awaitNonChild(state State) error {
	return pidfdWait(state.PID, time.Time{}, state.isAlive)
}

// awaitChild returns when the child has ended. Waiting for the child then needs no thread
// of its own. If that does not work, awaitChild returns early.
func awaitChild(pid int) { _ = pidfdWait(pid, time.Time{}, func() bool { return true }) }

// pidfdWait waits for the end of a process, with neither thread nor timer.
// It returns os.ErrDeadlineExceeded at the deadline, if that is not zero.
// isExpected is called once the pid cannot be reused any more, and reports whether
// it is the expected process.
func pidfdWait(pid int, deadline time.Time, isExpected func() bool) error {
	fd, err := unix.PidfdOpen(pid, unix.PIDFD_NONBLOCK)
	if errors.Is(err, unix.ESRCH) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("pidfd_open: %w", err)
	}
	file := os.NewFile(uintptr(fd), "pidfd")
	defer file.Close()
	if !isExpected() {
		return nil
	}
	if err := file.SetReadDeadline(deadline); err != nil {
		return err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	// A pidfd is readable once the process has ended; there is nothing to read.
	return raw.Read(func(fd uintptr) bool {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		return err == nil && ready > 0
	})
}

// findProcess returns the process of this user that has variable, "NAME=value",
// in its environment, and its identity; 0 if there is none.
func findProcess(variable string) (pid int, identity string) {
	for _, s := range snapshots() {
		// What the replica started has the variable too; the replica leads the group.
		if s.group == s.pid && hasVariable(s.pid, variable) {
			return s.pid, s.identity
		}
	}
	return 0, ""
}
