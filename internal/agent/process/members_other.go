// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package process

// snapshot is a process at one moment.
type snapshot struct{}

func snapshots() []snapshot { return nil }

func (run State) members([]snapshot) []int { return nil }

func (run State) allMembers([]snapshot) []int { return nil }
