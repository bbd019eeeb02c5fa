// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"
)

// stateDir returns $BLUEGREEN_TESTBED, or bluegreen-testbed in the user's state directory.
func stateDir() (string, error) {
	dir := os.Getenv("BLUEGREEN_TESTBED")
	if dir == "" {
		state := os.Getenv("XDG_STATE_HOME")
		if state == "" {
			home, err := os.UserHomeDir()
			if err != nil {
				return "", fmt.Errorf("testbed: no state directory: %w", err)
			}
			state = filepath.Join(home, ".local", "state")
		}
		dir = filepath.Join(state, "bluegreen-testbed")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	// The paths of sockets are up to 45 characters longer, and the kernel accepts 107.
	if len(dir) > 60 {
		return "", fmt.Errorf("testbed: the path of the state directory is longer than 60 characters: %s", dir)
	}
	return dir, nil
}

// claim marks the state directory as this cluster's. It refuses a directory with other
// files, because down removes the whole directory.
func (c *cluster) claim() error {
	if c.isClaimed() {
		return nil
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	entries, err := os.ReadDir(c.Dir)
	if err != nil {
		return err
	}
	if len(entries) > 0 {
		return fmt.Errorf("testbed: %s is not empty, and is not the directory of a test bed", c.Dir)
	}
	return os.WriteFile(c.marker(), nil, 0o600)
}

func (c *cluster) isClaimed() bool {
	_, err := os.Stat(c.marker())
	return err == nil
}

func (c *cluster) marker() string { return c.Path(".testbed") }

// lock waits until no other process changes the cluster of this machine. The lock is a
// socket without a file, which ends with its process.
func lock(ctx context.Context) (release func(), err error) {
	for reported := false; ; reported = true {
		listener, err := net.Listen("unix", "@bluegreen-testbed")
		if err == nil {
			return func() { listener.Close() }, nil
		}
		if !reported {
			fmt.Fprintln(os.Stderr, "testbed: waiting for another testbed command to end")
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// installSelf copies this program to the state directory, so that tests can stop and start
// components without building it.
func (c *cluster) installSelf() error {
	self, err := os.ReadFile("/proc/self/exe")
	if err != nil {
		return err
	}
	path := c.Path("testbed")
	if hasContent(path, string(self)) {
		return nil
	}
	// A running program cannot be written to, but it can be replaced.
	if err := os.WriteFile(path+".new", self, 0o700); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// write writes a file that only root may read, and creates its directory. It does nothing
// if the file has this content already.
func write(path, text string) error {
	if hasContent(path, text) {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(text), 0o600)
}

func hasContent(path, text string) bool {
	found, err := os.ReadFile(path)
	return err == nil && string(found) == text
}
