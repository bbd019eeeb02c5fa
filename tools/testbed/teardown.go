// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/moby/sys/mountinfo"
	"golang.org/x/sys/unix"
)

// down removes what up, the components and the pods have created. Installed packages and
// built programs stay.
func (c *cluster) down(ctx context.Context) error {
	if !c.isClaimed() {
		fmt.Println("there is no cluster in", c.Dir)
		return nil
	}
	stages, err := c.stages()
	if err != nil {
		return err
	}
	// The component that was started last is stopped first.
	components := slices.Concat(stages...)
	slices.Reverse(components)
	for _, remove := range []func() error{
		func() error { return c.stop(ctx, components...) },
		func() error { return removePods(ctx) },
		func() error { return c.killAll(ctx) },
		c.unmountAll,
		c.removeLeftovers,
		func() error { return removeRules(ctx) },
		func() error { return c.removeBridge(ctx) },
		c.restoreSettings,
		func() error { return os.RemoveAll(c.Dir) },
	} {
		// Each step needs the steps before it. For example, removing a directory with a
		// mounted file system would remove the files of that file system.
		if err := remove(); err != nil {
			return err
		}
	}
	fmt.Println("the cluster is removed")
	return nil
}

// killAll kills the processes that the components have started and left, such as
// containerd's shims.
func (c *cluster) killAll(ctx context.Context) error {
	running, err := markedProcesses(c.Dir + "/")
	if err != nil {
		return err
	}
	return kill(ctx, running)
}

// podGroup is the control group that the kubelet puts all pods in.
const podGroup = "kubepods"

// removePods kills the processes of all pods and removes their control groups.
func removePods(ctx context.Context) error {
	groups, err := mountinfo.GetMounts(mountinfo.FSTypeFilter("cgroup", "cgroup2"))
	if err != nil {
		return err
	}
	for _, group := range groups {
		root := filepath.Join(group.Mountpoint, podGroup)
		if err := poll(ctx, timeout, func(context.Context) error { return removeGroup(root) }); err != nil {
			return err
		}
	}
	return nil
}

// removeGroup kills the processes in a control group and below it, and removes the group.
// It returns an error while a process is still ending.
func removeGroup(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.IsDir() {
			if err := removeGroup(filepath.Join(dir, entry.Name())); err != nil {
				return err
			}
		}
	}
	pids, err := os.ReadFile(filepath.Join(dir, "cgroup.procs"))
	if err != nil {
		return err
	}
	for _, field := range strings.Fields(string(pids)) {
		pid, err := strconv.Atoi(field)
		if err != nil {
			return err
		}
		// The process may have ended already.
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	return os.Remove(dir)
}

// unmountAll unmounts the network namespaces, volumes and root file systems of pods.
func (c *cluster) unmountAll() error {
	mounts, err := mountinfo.GetMounts(mountinfo.PrefixFilter(c.Dir))
	if err != nil {
		return err
	}
	// A later mount may be on top of an earlier one.
	slices.Reverse(mounts)
	for _, mount := range mounts {
		if err := unix.Unmount(mount.Mountpoint, unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil {
			return fmt.Errorf("unmount %s: %w", mount.Mountpoint, err)
		}
	}
	return nil
}
