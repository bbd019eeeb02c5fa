// SPDX-License-Identifier: MPL-2.0

package durable

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// ReadOnly are the flags to open what may be a named pipe, without waiting for who writes to it.
const ReadOnly = os.O_RDONLY | syscall.O_NONBLOCK

// ErrNotRegular is returned for a directory, a named pipe, or anything else that is no regular file.
var ErrNotRegular = errors.New("it is no regular file")

// RequireRegular returns file, as it was opened, if it is a regular file. Otherwise it closes it, and
// returns ErrNotRegular.
func RequireRegular(file *os.File, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = ErrNotRegular
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// OpenRegular opens the regular file at path, to which links may lead.
func OpenRegular(path string) (*os.File, error) {
	return RequireRegular(os.OpenFile(path, ReadOnly, 0))
}

// ClearPath removes what is at path, unless that is a regular file, which can be written to.
func ClearPath(path string) error {
	info, err := os.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.Mode().IsRegular():
		return nil
	default:
		return RemoveTree(context.Background(), path)
	}
}
