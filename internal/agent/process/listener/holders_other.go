// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package listener

import "slices"

// HeldBy returns the sockets of the table that the processes hold. hidden is for Linux.
func (t Table) HeldBy(pids []int) (held Table, hidden []int) {
	return slices.DeleteFunc(slices.Clone(t), func(s Socket) bool { return !slices.Contains(pids, s.PID) }), nil
}

// IsOneOf is for Linux.
func IsOneOf(int, []string) bool { return false }

// Holder returns a process that holds the socket, 0 if none is known.
func Holder(s Socket) (pid int) { return s.PID }

// UsersOf is for Linux.
func UsersOf(int) []int { return nil }
