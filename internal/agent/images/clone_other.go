// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package images

import (
	"errors"
	"os"
)

// clone returns an error: the files are copied.
func clone(_, _ *os.File) error { return errors.ErrUnsupported }
