// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"math"
	"syscall"
)

// descriptorLimit returns how many descriptors the agent may have open. Go has raised the
// soft limit to the hard one, and what the agent starts has the former soft limit again
// (go.dev/issue/46279).
func descriptorLimit() int {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return unknownDescriptorLimit
	}
	return int(min(limit.Cur, math.MaxInt32))
}
