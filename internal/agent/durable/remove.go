// SPDX-License-Identifier: MPL-2.0

package durable

import (
	"io/fs"
	"os"
)

// RemoveTree removes path and everything in it, directories that nobody may write to included. It
// is not an error if there is nothing.
func RemoveTree(path string) error {
	err := os.RemoveAll(path)
	if err == nil || os.Geteuid() == 0 {
		// Root needs no permission.
		return err
	}
	// An error shows again when the tree is removed.
	_ = makeWritable(path)
	return os.RemoveAll(path)
}

// makeWritable lets the owner of the directory at path remove what is in it. Others may replace
// directories by links meanwhile: nothing outside is changed.
func makeWritable(path string) error {
	// Links have been removed.
	if err := os.Chmod(path, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			err = root.Chmod(name, 0o700)
		}
		return err
	})
}
