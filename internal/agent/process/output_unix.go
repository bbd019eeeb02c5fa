// SPDX-License-Identifier: MPL-2.0

//go:build unix

package process

import (
	"errors"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// openOutput creates the named pipe at path if it is missing, and opens both ends.
//
// The writer is for the replica. It is open for reading too, so that the pipe
// always has a reader: a replica that writes while no supervisor runs gets neither
// SIGPIPE nor an error. The reader sees the end once the last writer is gone.
func openOutput(path string) (reader, writer *os.File, err error) {
	if err := unix.Mkfifo(path, 0o600); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, nil, err
	}
	// Not blocking, or the open would wait for a writer.
	in, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	out, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, nil, errors.Join(err, unix.Close(in))
	}
	return os.NewFile(uintptr(in), path), os.NewFile(uintptr(out), path), nil
}
