// SPDX-License-Identifier: MPL-2.0

package images

import (
	"os"

	"golang.org/x/sys/unix"
)

// clone makes the content of to that of from, which then share it on the disk until one of them
// is written to. It returns an error where the file system cannot do that.
func clone(to, from *os.File) error { return unix.IoctlFileClone(int(to.Fd()), int(from.Fd())) }
