// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// The controllers that limit, in either version of control groups.
const (
	memoryController = "memory"
	cpuController    = "cpu"
)

// unified stands for the hierarchy of version 2, which all controllers share.
const unified = ""

// hierarchies are those of control groups on this machine, by their controllers.
type hierarchies struct {
	mounts map[string]controlGroupMount
	// own are the groups of this process.
	own map[string]string
}

// readHierarchies returns what this process sees.
func readHierarchies() (hierarchies, error) {
	mounts, err := controlGroupMounts()
	if err != nil {
		return hierarchies{}, err
	}
	own, err := groupsOf(os.Getpid())
	return hierarchies{mounts, own}, err
}

// ownGroup returns the directory of the group of this process.
func (all hierarchies) ownGroup(controller string) (dir string, ok bool) {
	mount, ok := all.mounts[controller]
	return mount.path(all.own[controller]), ok
}

// isUnified reports whether the controller is one of version 2.
func (all hierarchies) isUnified(controller string) bool {
	_, isOwn := all.mounts[controller]
	return !isOwn
}

// parentsOf returns, by controller, the directory in which groups can be made that the controller
// limits. In version 1 it is the group of this process.
func (all hierarchies) parentsOf(controllers []string) (map[string]string, error) {
	parents := map[string]string{}
	var shared []string
	for _, controller := range controllers {
		if all.isUnified(controller) {
			shared = append(shared, controller)
			continue
		}
		parents[controller], _ = all.ownGroup(controller)
	}
	if len(shared) == 0 {
		return parents, nil
	}
	own, ok := all.ownGroup(unified)
	if !ok {
		return nil, fmt.Errorf("this system has no control groups for %s", strings.Join(shared, " and "))
	}
	parent, err := sharedParent(all.mounts[unified].point, own, shared)
	for _, controller := range shared {
		parents[controller] = parent
	}
	return parents, err
}

// sharedParent returns the directory of version 2 in which groups can be made that all controllers
// limit: own, which is below point, or one above that. A group that has processes cannot have others
// in it that are limited.
//
// This process does not make room in its own group by moving to one below. The replicas stay when it
// ends, so the group would go on limiting others, and the kernel lets no process into such a group:
// systemd, which starts each process of a unit in the group of the unit, could not start the next
// agent.
func sharedParent(point, own string, controllers []string) (dir string, err error) {
	for dir = own; ; dir = filepath.Dir(dir) {
		if err = enableControllers(dir, controllers); err == nil {
			return dir, nil
		}
		if dir == point || len(dir) < len(point) {
			return "", err
		}
	}
}

// enableControllers lets the groups in dir be limited by all these controllers. It changes nothing
// where it cannot enable them all.
func enableControllers(dir string, controllers []string) error {
	const file = "cgroup.subtree_control"
	available, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	if err != nil {
		return err
	}
	enabled, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return err
	}
	var missing []string
	for _, controller := range controllers {
		switch {
		case !slices.Contains(strings.Fields(string(available)), controller):
			return fmt.Errorf("%s is not available in %s", controller, dir)
		case !slices.Contains(strings.Fields(string(enabled)), controller):
			missing = append(missing, "+"+controller)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	// The kernel enables all that one write names, or none.
	return writeSetting(dir, file, strings.Join(missing, " "))
}

// controlGroupMount is where a hierarchy of control groups is mounted. root is the group that is
// seen there.
type controlGroupMount struct{ point, root string }

// path is where the group called name is.
func (m controlGroupMount) path(name string) string {
	below, err := filepath.Rel(m.root, name)
	if err != nil || strings.HasPrefix(below, "..") {
		return m.point
	}
	return filepath.Join(m.point, below)
}

// controlGroupMounts returns the hierarchies by their controllers.
func controlGroupMounts() (map[string]controlGroupMount, error) {
	file, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	mounts := map[string]controlGroupMount{}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		// See proc_pid_mountinfo(5).
		before, after, _ := strings.Cut(lines.Text(), " - ")
		where, what := strings.Fields(before), strings.Fields(after)
		if len(where) < 5 || len(what) < 3 {
			continue
		}
		mount := controlGroupMount{point: where[4], root: where[3]}
		switch what[0] {
		case "cgroup2":
			mounts[unified] = mount
		case "cgroup":
			for controller := range strings.SplitSeq(what[2], ",") {
				mounts[controller] = mount
			}
		}
	}
	return mounts, lines.Err()
}

// groupsOf returns the control groups of a process by their controllers.
func groupsOf(pid int) (map[string]string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		return nil, err
	}
	groups := map[string]string{}
	for line := range strings.Lines(string(text)) {
		// See cgroups(7).
		if parts := strings.SplitN(strings.TrimSpace(line), ":", 3); len(parts) == 3 {
			for controller := range strings.SplitSeq(parts[1], ",") {
				groups[controller] = parts[2]
			}
		}
	}
	return groups, nil
}
