// SPDX-License-Identifier: MPL-2.0

package process

import (
	"math"

	"golang.org/x/sys/unix"
)

// closeAllOnExec does for all descriptors at once what unix.CloseOnExec does for one. It returns
// an error before Linux 5.11, and where a filter does not know the system call.
func closeAllOnExec() error {
	return unix.CloseRange(firstInherited, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC)
}
