// SPDX-License-Identifier: MPL-2.0

//go:build unix

package durable

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
)

// CheckSupported returns nil if the agent can work on this system, else ErrUnsupported.
func CheckSupported() error { return nil }

// WriteFile replaces the file at path, durably and in one step, readable by its
// owner only. The temporary file stays in the same directory, which is private. What is there and
// is no file is removed.
func WriteFile(path string, content []byte) error {
	dir := filepath.Dir(path)
	if err := ClearPath(path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	err := renameio.WriteFile(path, content, 0o600, renameio.WithTempDir(dir), renameio.IgnoreUmask())
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := SyncDir(dir); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return nil
}

// SyncDir makes the names in dir durable.
func SyncDir(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	return file.Sync()
}
