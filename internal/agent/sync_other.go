// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package agent

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// syncTree makes everything under dir durable.
func syncTree(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || (!entry.IsDir() && !entry.Type().IsRegular()) {
			return err
		}
		file, err := os.Open(path)
		if err != nil {
			return err
		}
		return errors.Join(file.Sync(), file.Close())
	})
}
