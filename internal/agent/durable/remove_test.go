// SPDX-License-Identifier: MPL-2.0

//go:build unix

package durable

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
)

// Something that still runs may replace a directory by a link while the tree is removed. Nothing
// outside of the tree changes.
func TestMakeWritableChangesNothingOutside(t *testing.T) {
	t.Parallel()
	outside, tree := t.TempDir(), t.TempDir()
	if err := os.Chmod(outside, 0o755); err != nil {
		t.Fatal(err)
	}
	for n := range 100 {
		if err := os.Mkdir(filepath.Join(tree, fmt.Sprint(n)), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	last, aside := filepath.Join(tree, "last"), filepath.Join(tree, "0", "aside")
	done := make(chan struct{})
	var swaps sync.WaitGroup
	swaps.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			// Errors say that it is there.
			_ = os.Mkdir(last, 0o700)
			_ = os.Rename(last, aside)
			_ = os.Symlink(outside, last)
			_ = os.Remove(last)
			_ = os.Rename(aside, last)
		}
	})
	for range 100 {
		_ = makeWritable(tree)
	}
	close(done)
	swaps.Wait()
	if info, err := os.Stat(outside); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("the directory outside is now %v, %v", info.Mode(), err)
	}
}
