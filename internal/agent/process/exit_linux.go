// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// identify tells this process from all others that had or will have the same pid. It
// returns the boot of the system and when the process started. A zombie does not count as a process.
func identify(pid int) (string, error) {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", fmt.Errorf("looking process %d up: %w", pid, err)
	}
	// The name, in parentheses, may hold anything. The state (3) and the start
	// time (22) follow it; see proc_pid_stat(5).
	fields := bytes.Fields(stat[bytes.LastIndexByte(stat, ')')+1:])
	if len(fields) < 20 || fields[0][0] == 'Z' || fields[0][0] == 'X' {
		return "", fmt.Errorf("process %d has ended", pid)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", fmt.Errorf("looking process %d up: %w", pid, err)
	}
	return fmt.Sprintf("%s@%s", fields[19], bytes.TrimSpace(boot)), nil
}

// awaitNonChild returns when a process that is not a child has ended, or with an
// error if the system cannot report that.
func awaitNonChild(state State) error {
	return pidfdWait(state.PID, state.isAlive)
}

// awaitChild returns when the child has ended. Waiting for the child then needs no thread
// of its own. If that does not work, awaitChild returns early.
func awaitChild(pid int) { _ = pidfdWait(pid, func() bool { return true }) }

// pidfdWait waits for the end of a process, with neither thread nor timer.
// isExpected is called once the pid cannot be reused any more, and reports whether
// it is the expected process.
func pidfdWait(pid int, isExpected func() bool) error {
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
	paths, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, path := range paths {
		environ, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(append([]byte{0}, environ...), []byte("\x00"+variable+"\x00")) {
			continue
		}
		found, err := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if err != nil {
			continue
		}
		// What the replica started has the variable too; the replica leads the group.
		if group, err := unix.Getpgid(found); err != nil || group != found {
			continue
		}
		if identity, err := identify(found); err == nil {
			return found, identity
		}
	}
	return 0, ""
}
