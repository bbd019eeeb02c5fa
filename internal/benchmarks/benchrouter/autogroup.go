// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
)

// autogroupFile says whether each session gets the same share of the CPUs, however many
// processes it has that could run.
const autogroupFile = "/proc/sys/kernel/sched_autogroup_enabled"

// turnOffAutogroup has the scheduler treat all processes alike that start from now on, until
// restore is called. If it may not, all proxies are still alike, because each has a session of
// its own. But what a proxy gets then depends less on what it needs. note says what was done.
func turnOffAutogroup() (note string, restore func(), err error) {
	nothing := func() {}
	content, err := os.ReadFile(autogroupFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "this kernel has no sched_autogroup", nothing, nil
	case err != nil:
		return "", nil, err
	case strings.TrimSpace(string(content)) == "0":
		return "sched_autogroup is off", nothing, nil
	}
	err = os.WriteFile(autogroupFile, []byte("0"), 0)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return "sched_autogroup is on, and only root may turn it off: each proxy has a session of its own, " +
			"but the shares of the CPUs that they get are distorted", nothing, nil
	case err != nil:
		return "", nil, fmt.Errorf("turning sched_autogroup off: %w", err)
	}
	return "sched_autogroup is off during this run", func() {
		if err := os.WriteFile(autogroupFile, content, 0); err != nil {
			fmt.Fprintln(os.Stderr, "benchrouter: turning sched_autogroup on again:", err)
		}
	}, nil
}
