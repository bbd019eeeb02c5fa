// SPDX-License-Identifier: MPL-2.0

//go:build unix

package durable_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// Not even a directory that its owner cannot write to stays.
func TestRemoveTreeRemovesReadOnlyDirectories(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "tree")
	inner := filepath.Join(dir, "a", "b")
	for _, err := range []error{
		os.MkdirAll(inner, 0o755), os.WriteFile(filepath.Join(inner, "file"), nil, 0o400),
		os.Chmod(inner, 0o500), os.Chmod(filepath.Dir(inner), 0o500), os.Chmod(dir, 0o500),
		durable.RemoveTree(t.Context(), dir), durable.RemoveTree(t.Context(), dir),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left is %v", err)
	}
}

// Something that still runs may replace a directory by a link while the tree is removed. Nothing
// outside of the tree changes.
func TestRemoveTreeChangesNothingOutside(t *testing.T) {
	t.Parallel()
	outside, tree := t.TempDir(), filepath.Join(t.TempDir(), "tree")
	kept := filepath.Join(outside, "kept")
	for _, err := range []error{os.Chmod(outside, 0o755), os.WriteFile(kept, nil, 0o600)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	last, aside := filepath.Join(tree, "last"), filepath.Join(tree, "aside")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 5000 {
			// Errors say that it is there, or that it has been removed.
			_ = os.MkdirAll(filepath.Join(last, "inside"), 0o700)
			_ = os.Rename(last, aside)
			_ = os.Symlink(outside, last)
			_ = os.Remove(last)
			_ = os.Rename(aside, last)
		}
	}()
	for isOver := false; !isOver; {
		// It ends with an error if something in it changes.
		_ = durable.RemoveTree(t.Context(), tree)
		select {
		case <-done:
			isOver = true
		default:
		}
	}
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory outside is now %v, %v", info.Mode(), err)
	}
	if _, err := os.Stat(kept); err != nil {
		t.Errorf("the file outside: %v", err)
	}
}

// makeDeepTree makes a tree of so many levels at path. Every other directory has a file beside the
// next one.
func makeDeepTree(t *testing.T, path string, levels int) {
	t.Helper()
	at, err := os.OpenRoot(filepath.Dir(path))
	for level := 0; err == nil && level < levels; level++ {
		name := "directory"
		if level == 0 {
			name = filepath.Base(path)
		}
		err = at.Mkdir(name, 0o700)
		if err == nil && level%2 == 1 {
			err = at.WriteFile("file", nil, 0o600)
		}
		above := at
		if err == nil {
			at, err = above.OpenRoot(name)
		}
		above.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	at.Close()
}

// limitVariable is set in the process of a test that has few descriptors.
const limitVariable = "BLUEGREEN_TEST_FEW_DESCRIPTORS"

// A tree may be much deeper than its process has descriptors.
func TestRemoveTreeRemovesADeepTreeWithFewDescriptors(t *testing.T) {
	const descriptors, levels = 30, 3000
	if os.Getenv(limitVariable) == "" {
		again := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
		again.Env = append(os.Environ(), limitVariable+"=1")
		if output, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, output)
		}
		return
	}
	limit := syscall.Rlimit{Cur: descriptors, Max: descriptors}
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		t.Fatal(err)
	}
	tree := filepath.Join(t.TempDir(), "tree")
	makeDeepTree(t, tree, levels)
	if err := durable.RemoveTree(t.Context(), tree); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(tree); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left is %v", err)
	}
}

// A directory may have more entries than are read at once, and some of them may be deep.
func TestRemoveTreeRemovesAWideTree(t *testing.T) {
	t.Parallel()
	tree := filepath.Join(t.TempDir(), "tree")
	if err := os.Mkdir(tree, 0o700); err != nil {
		t.Fatal(err)
	}
	for n := range 2500 {
		if err := os.WriteFile(filepath.Join(tree, fmt.Sprintf("file-%d", n)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if n%100 == 0 {
			makeDeepTree(t, filepath.Join(tree, fmt.Sprintf("deep-%d", n)), 40)
		}
	}
	if err := durable.RemoveTree(t.Context(), tree); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(tree); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left is %v", err)
	}
}

// endsAfter is a context that ends when it has been looked at so many times.
type endsAfter struct {
	context.Context
	looks int
}

func (c *endsAfter) Err() error {
	if c.looks--; c.looks < 0 {
		return context.Canceled
	}
	return nil
}

// The removal ends with its context, in the middle of the tree, and goes on later.
func TestRemoveTreeEndsWithItsContext(t *testing.T) {
	t.Parallel()
	tree := filepath.Join(t.TempDir(), "tree")
	makeDeepTree(t, tree, 100)
	const looks = 50
	err := durable.RemoveTree(&endsAfter{t.Context(), looks}, tree)
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
	if _, err := os.Lstat(tree); err != nil {
		t.Error(err)
	}
	if err := durable.RemoveTree(t.Context(), tree); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(tree); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left is %v", err)
	}
}
