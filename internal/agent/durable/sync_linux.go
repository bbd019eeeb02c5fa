// SPDX-License-Identifier: MPL-2.0

package durable

import (
	"os"

	"golang.org/x/sys/unix"
)

// SyncTree makes everything under dir durable, with one call for any number of files.
func SyncTree(dir string) error {
	file, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer file.Close()
	return unix.Syncfs(int(file.Fd()))
}
