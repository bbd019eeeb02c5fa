// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package process

// controlGroup is nothing: these systems have none.
type controlGroup []string

func makeControlGroup(string, Limits) (controlGroup, error) { return nil, nil }

func controlGroupOf(State) controlGroup { return nil }

func (controlGroup) kill() {}

func (controlGroup) remove() error { return nil }

func (controlGroup) hasKilled() bool { return false }

// LeaveRun does nothing.
func LeaveRun() {}

// RemoveEmptyGroups does nothing.
func RemoveEmptyGroups() {}
