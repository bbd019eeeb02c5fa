// SPDX-License-Identifier: MPL-2.0

package durable

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// RemoveTree removes path and everything in it, directories that nobody may write to included. It
// is not an error if there is nothing. However deep the tree is, RemoveTree uses a few descriptors.
// It ends with ctx; what is left can be removed later.
//
// Something that still runs may replace directories by links meanwhile. Nothing outside of the
// tree is removed or changed.
func RemoveTree(ctx context.Context, path string) error {
	parent, err := os.OpenRoot(filepath.Dir(path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer parent.Close()
	name := filepath.Base(path)
	r := removal{ctx: ctx, parent: parent, top: name}
	return r.remove(parent, name, name)
}

// removal is the removal of a tree.
type removal struct {
	ctx context.Context
	// parent is the directory that holds the tree, and top the name of the tree in it.
	parent *os.Root
	top    string
}

const (
	// deepest is how many names the path of a directory may have that is emptied where it is. A
	// deeper one is moved to the top first. Few trees have one.
	deepest = 16
	// namesAtOnce is how many names of a directory are read at once.
	namesAtOnce = 1000
)

// remove removes the entry of dir that is called name, or moves it to the top. In parent its path is
// path.
func (r removal) remove(dir *os.Root, name, path string) error {
	for {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		err := dir.Remove(name)
		if err == nil || errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		// ErrExist says that it is a directory with something in it.
		if !errors.Is(err, fs.ErrExist) {
			return fmt.Errorf("in %s: %w", dir.Name(), err)
		}
		// If this fails, what follows does.
		_ = dir.Chmod(name, 0o700)
		if strings.Count(path, string(filepath.Separator)) == deepest {
			return r.parent.Rename(path, filepath.Join(r.top, rand.Text()))
		}
		if err := r.empty(dir, name, path); err != nil {
			return err
		}
	}
}

// empty removes some of what is in the directory, or moves it to the top.
func (r removal) empty(dir *os.Root, name, path string) error {
	inside, err := dir.OpenRoot(name)
	if err != nil {
		return fmt.Errorf("in %s: %w", dir.Name(), err)
	}
	defer inside.Close()
	names, err := namesIn(inside)
	if err != nil {
		return err
	}
	for _, name := range names {
		if err := r.remove(inside, name, filepath.Join(path, name)); err != nil {
			return err
		}
	}
	return nil
}

// namesIn returns some of the names in a directory.
func namesIn(dir *os.Root) ([]string, error) {
	file, err := dir.Open(".")
	if err != nil {
		return nil, err
	}
	defer file.Close()
	names, err := file.Readdirnames(namesAtOnce)
	if errors.Is(err, io.EOF) {
		return nil, nil
	}
	return names, err
}
