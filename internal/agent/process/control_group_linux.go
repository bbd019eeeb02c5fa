// SPDX-License-Identifier: MPL-2.0

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// A run has a control group of its own where the agent may make one. What the run starts is in it
// too, and cannot leave it without the rights of the agent's user, so the group says what is to be
// ended with the run. The kernel limits the group if the release has a limit of memory or CPU. In
// version 1 of control groups a run can then have two groups, one for each of both.

// cpuPeriod is the time in which the CPU time of a group is counted, in microseconds.
const cpuPeriod = 100_000

// controlGroup is the directories of one run, none if it has no group.
type controlGroup []string

// controlGroupPrefix begins the names of the directories of all runs.
const controlGroupPrefix = "bluegreen-"

// controlGroupName is the name of the directories of a run.
func controlGroupName(incarnation string) string { return controlGroupPrefix + incarnation }

// makeControlGroup makes the control group of a run that is not started yet. It is an error if a
// limit cannot be set. A run without limits then has no group.
func makeControlGroup(incarnation string, limits Limits) (controlGroup, error) {
	all, err := readHierarchies()
	if err != nil {
		if limits.needsGroup() {
			return nil, err
		}
		return nil, nil
	}
	name := controlGroupName(incarnation)
	if !limits.needsGroup() {
		return all.makeUnlimited(name), nil
	}
	return all.makeLimited(name, limits)
}

// makeUnlimited makes a group that only holds the run together, if that is possible. One of version
// 2 comes first, because the kernel can kill all that is in it at once.
func (all hierarchies) makeUnlimited(name string) controlGroup {
	for _, controller := range []string{unified, "freezer", "pids", cpuController, memoryController} {
		own, ok := all.ownGroup(controller)
		if !ok {
			continue
		}
		if dir := filepath.Join(own, name); os.Mkdir(dir, 0o755) == nil {
			return controlGroup{dir}
		}
	}
	return nil
}

// makeLimited makes the groups in which the limits hold.
func (all hierarchies) makeLimited(name string, limits Limits) (made controlGroup, err error) {
	defer func() {
		if err != nil {
			_ = made.remove()
		}
	}()
	parents, err := all.parentsOf(limits.controllers())
	if err != nil {
		return nil, err
	}
	for _, controller := range limits.controllers() {
		dir := filepath.Join(parents[controller], name)
		if !slices.Contains(made, dir) {
			if err := os.Mkdir(dir, 0o755); err != nil {
				return made, err
			}
			made = append(made, dir)
		}
		if err := limits.set(dir, controller, all.isUnified(controller)); err != nil {
			return made, err
		}
	}
	return made, nil
}

// needsGroup reports whether the limits have no effect without a control group.
func (l Limits) needsGroup() bool { return len(l.controllers()) > 0 }

// controllers are what the kernel needs for the limits.
func (l Limits) controllers() (list []string) {
	if l.Memory > 0 {
		list = append(list, memoryController)
	}
	if l.CPUs > 0 {
		list = append(list, cpuController)
	}
	return list
}

// set sets the limit that the controller keeps.
func (l Limits) set(dir, controller string, isUnified bool) error {
	if controller == memoryController {
		return l.limitMemory(dir, isUnified)
	}
	return l.limitCPUs(dir, isUnified)
}

func (l Limits) limitMemory(dir string, isUnified bool) error {
	limit := strconv.FormatInt(l.Memory, 10)
	name, swapName, swap := "memory.max", "memory.swap.max", "0"
	if !isUnified {
		name, swapName, swap = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes", limit
	}
	if err := writeSetting(dir, name, limit); err != nil {
		return err
	}
	// Without it a group could use swap as well. It is missing where swap is not counted.
	if err := writeSetting(dir, swapName, swap); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (l Limits) limitCPUs(dir string, isUnified bool) error {
	quota := int64(l.CPUs * cpuPeriod)
	if isUnified {
		return writeSetting(dir, "cpu.max", fmt.Sprintf("%d %d", quota, cpuPeriod))
	}
	return errors.Join(
		writeSetting(dir, "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)),
		writeSetting(dir, "cpu.cfs_quota_us", strconv.FormatInt(quota, 10)),
	)
}

// writeSetting writes to a file of a control group, which must be there.
func writeSetting(dir, name, value string) error {
	file, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}

// controlGroupOf returns the control group of a run that is not noted, nil if it has none.
func controlGroupOf(run State) (found controlGroup) {
	all, err := readHierarchies()
	groups, groupsErr := groupsOf(run.PID)
	if err != nil || groupsErr != nil {
		return nil
	}
	for controller, group := range groups {
		mount, ok := all.mounts[controller]
		if !ok || filepath.Base(group) != controlGroupName(run.Incarnation) {
			continue
		}
		if dir := mount.path(group); !slices.Contains(found, dir) {
			found = append(found, dir)
		}
	}
	return found
}

// join puts this process into the group.
func (g controlGroup) join() error {
	for _, dir := range g {
		if err := writeSetting(dir, "cgroup.procs", "0"); err != nil {
			return fmt.Errorf("joining the control group: %w", err)
		}
	}
	return nil
}

// emptyGroupAge is how old a control group is at least that is removed because nothing is in it. A
// younger one may be that of a run that is being started.
const emptyGroupAge = time.Minute

// RemoveEmptyGroups removes the control groups of runs of which nothing is left and nothing is known
// any more, because the file that named them was damaged or could not be written. Call it once.
func RemoveEmptyGroups() {
	if all, err := readHierarchies(); err == nil {
		all.removeEmpty(time.Now().Add(-emptyGroupAge))
	}
}

// removeEmpty removes those that were made before a time. The kernel removes none that is in use.
func (all hierarchies) removeEmpty(before time.Time) {
	for controller := range all.mounts {
		own, _ := all.ownGroup(controller)
		groups, _ := filepath.Glob(filepath.Join(own, controlGroupPrefix+"*"))
		for _, group := range groups {
			if info, err := os.Stat(group); err == nil && info.ModTime().Before(before) {
				_ = os.Remove(group)
			}
		}
	}
}

// LeaveRun takes this process out of the control group of a replica that has started it, where that
// is possible, and removes the mark of its run. An agent does that: it must not end with a replica
// that has deployed something.
func LeaveRun() {
	removeMark()
	all, err := readHierarchies()
	if err != nil {
		return
	}
	for controller, group := range all.own {
		mount, ok := all.mounts[controller]
		if ok && strings.HasPrefix(filepath.Base(group), controlGroupPrefix) {
			_ = writeSetting(filepath.Dir(mount.path(group)), "cgroup.procs", "0")
		}
	}
}

// dirs returns the directories of the group and those of the groups that the run has made in it,
// which come after what they are in.
func (g controlGroup) dirs() (list []string) {
	for _, dir := range g {
		_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				list = append(list, path)
			}
			return nil
		})
	}
	return list
}

// pids returns the processes in the group.
func (g controlGroup) pids() map[int]bool {
	list := map[int]bool{}
	for _, dir := range g.dirs() {
		text, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
		if err != nil {
			continue
		}
		for field := range strings.FieldsSeq(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 {
				list[pid] = true
			}
		}
	}
	return list
}

// kill sends SIGKILL to all processes in the group, but not to this one.
func (g controlGroup) kill() {
	members, self := g.pids(), os.Getpid()
	if !members[self] && g.killAtOnce() {
		return
	}
	for pid := range members {
		if pid != self {
			g.killMember(pid)
		}
	}
}

// killAtOnce has the kernel kill all processes in the group, and reports whether it can. It does in
// version 2, since Linux 5.14.
func (g controlGroup) killAtOnce() bool {
	for _, dir := range g {
		if writeSetting(dir, "cgroup.kill", "1") != nil {
			return false
		}
	}
	return true
}

// killMember sends SIGKILL to the process, and to no other that has its pid by now.
func (g controlGroup) killMember(pid int) {
	// It holds on to the process, where the system supports that.
	process, err := os.FindProcess(pid)
	if err != nil {
		return
	}
	defer func() { _ = process.Release() }()
	if g.pids()[pid] {
		_ = process.Signal(killSignal)
	}
}

// remove removes the group. It returns an error if something is still in it. Where the agent may not
// remove it any more, it stays.
func (g controlGroup) remove() error {
	for _, dir := range slices.Backward(g.dirs()) {
		if err := os.Remove(dir); errors.Is(err, unix.EBUSY) {
			return fmt.Errorf("removing the control group: %w", err)
		}
	}
	return nil
}

// hasKilled reports whether the kernel has ended a process of the group because the group had
// used up its memory.
func (g controlGroup) hasKilled() bool {
	for _, dir := range g {
		for _, name := range []string{"memory.events", "memory.oom_control"} {
			text, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				continue
			}
			for line := range strings.Lines(string(text)) {
				if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "oom_kill" && fields[1] != "0" {
					return true
				}
			}
		}
	}
	return false
}
