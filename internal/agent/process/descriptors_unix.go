// SPDX-License-Identifier: MPL-2.0

//go:build unix

package process

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// firstInherited is the first descriptor after stdin, stdout and stderr.
	firstInherited = 3
	// mostInherited bounds how many descriptors are looked at one by one.
	mostInherited = 1 << 16
)

// KeepDescriptors makes sure that no process that is started from here on inherits a descriptor
// of this one besides those that it is given. What Go opens is never inherited, but what this
// process has inherited itself would be, such as the lock of `flock FILE terraform apply` or the
// pipe of a shell: it would stay locked or open for as long as an agent or a replica runs.
func KeepDescriptors() {
	if closeAllOnExec() == nil {
		return
	}
	limit := mostInherited
	var most syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &most); err == nil {
		limit = int(min(most.Cur, mostInherited))
	}
	for descriptor := firstInherited; descriptor < limit; descriptor++ {
		unix.CloseOnExec(descriptor)
	}
}
