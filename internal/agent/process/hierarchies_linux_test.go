// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bufio"
	"crypto/rand"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// canMakeControlGroup reports whether this process can have a group for a run without limits.
func canMakeControlGroup(t *testing.T) bool {
	t.Helper()
	group, err := makeControlGroup(rand.Text(), Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if err := group.remove(); err != nil {
		t.Error(err)
	}
	return len(group) > 0
}

// requireControlGroups is the environment variable that makes tests fail, and not skip, where this
// machine gives the processes of the tests no control groups.
const requireControlGroups = "BLUEGREEN_REQUIRE_CONTROL_GROUPS"

// skipOrFail ends a test that this machine cannot run.
func skipOrFail(t *testing.T, why string) {
	t.Helper()
	if os.Getenv(requireControlGroups) != "" {
		t.Fatalf("%s, and %s is set", why, requireControlGroups)
	}
	t.Skip(why)
}

// usingMounts gives this goroutine, and what it starts, mounts of its own, which go when the
// goroutine ends. It skips the test where this user may not mount.
func usingMounts(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 || !canMount() {
		skipOrFail(t, "only root can mount")
	}
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		t.Fatal(err)
	}
}

// usingVersion1 hides version 2 of control groups from this goroutine and what it starts. It skips
// the test on a machine without version 1.
func usingVersion1(t *testing.T) {
	t.Helper()
	usingMounts(t)
	all, err := readHierarchies()
	if err != nil {
		t.Fatal(err)
	}
	if mount, ok := all.mounts[unified]; ok {
		if err := unix.Unmount(mount.point, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	if !canMakeControlGroup(t) {
		t.Skip("this machine has no version 1 of control groups")
	}
}

// usingNoControlGroups lets this goroutine make no control groups. It skips the test if that takes
// mounts and this user may not mount.
func usingNoControlGroups(t *testing.T) {
	t.Helper()
	if !canMakeControlGroup(t) {
		return
	}
	usingMounts(t)
	all, err := readHierarchies()
	if err != nil {
		t.Fatal(err)
	}
	points := map[string]bool{}
	for _, mount := range all.mounts {
		points[mount.point] = true
	}
	for point := range points {
		if err := unix.Unmount(point, unix.MNT_DETACH); err != nil {
			t.Fatal(err)
		}
	}
	if canMakeControlGroup(t) {
		t.Fatal("there are control groups")
	}
}

// fakeGroup is a group of version 2: the controllers that it has, and whether it has processes, so
// that none can be enabled.
type fakeGroup struct {
	available string
	isBusy    bool
}

// controlGroupTree makes what looks like a hierarchy of version 2.
func controlGroupTree(t *testing.T, groups map[string]fakeGroup) (point string) {
	t.Helper()
	point = t.TempDir()
	for name, group := range groups {
		dir := filepath.Join(point, name)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		files := map[string]string{"cgroup.controllers": group.available, "cgroup.subtree_control": ""}
		if group.isBusy {
			// Nobody can write to a directory.
			delete(files, "cgroup.subtree_control")
			if err := os.MkdirAll(filepath.Join(dir, "cgroup.subtree_control"), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		for file, content := range files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return point
}

// A group for a run has one parent in version 2, whatever limits the run has: the nearest one in
// which all of them can be enabled.
func TestLimitsOfARunHaveOneParent(t *testing.T) {
	t.Parallel()
	both := []string{memoryController, cpuController}
	all, busy := fakeGroup{"cpu memory pids", false}, fakeGroup{"cpu memory pids", true}
	for name, c := range map[string]struct {
		// own is the group a/b of the agent, and above is the group a.
		own, above, root fakeGroup
		controllers      []string
		want             string
	}{
		"its own group":           {all, all, all, both, "a/b"},
		"its own has processes":   {busy, all, all, both, "a"},
		"one lacks a controller":  {busy, fakeGroup{"memory", false}, all, both, ""},
		"which is not wanted":     {busy, fakeGroup{"memory", false}, all, both[:1], "a"},
		"its own lacks the other": {fakeGroup{"cpu", false}, all, all, both[:1], "a"},
		"nowhere":                 {busy, busy, busy, both, "nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			point := controlGroupTree(t, map[string]fakeGroup{"": c.root, "a": c.above, "a/b": c.own})
			machine := hierarchies{
				mounts: map[string]controlGroupMount{unified: {point, "/"}}, own: map[string]string{unified: "/a/b"},
			}
			parents, err := machine.parentsOf(c.controllers)
			if c.want == "nowhere" {
				if err == nil {
					t.Errorf("the parents are %v", parents)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, controller := range c.controllers {
				if want := filepath.Join(point, c.want); parents[controller] != want {
					t.Errorf("the parent for %s is %s, want %s", controller, parents[controller], want)
				}
			}
		})
	}
}

// The kernel enables all controllers that one write names, or none.
func TestControllersAreEnabledTogether(t *testing.T) {
	t.Parallel()
	point := controlGroupTree(t, map[string]fakeGroup{"a": {"cpu memory pids", false}})
	if err := enableControllers(filepath.Join(point, "a"), []string{memoryController, cpuController}); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(point, "a", "cgroup.subtree_control"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	line, _ := bufio.NewReader(file).ReadString('\n')
	if got := strings.Fields(line); !slices.Equal(got, []string{"+memory", "+cpu"}) {
		t.Errorf("written is %q", line)
	}
}
