// SPDX-License-Identifier: MPL-2.0

//go:build unix

package socket

import (
	"errors"
	"net"
	"os"

	"golang.org/x/sys/unix"
)

// duplicateFile returns a file of the socket that stays non-blocking.
func duplicateFile(original *net.TCPListener) (*os.File, error) {
	socket, err := original.SyscallConn()
	if err != nil {
		return nil, err
	}
	var copied int
	var failure error
	err = socket.Control(func(fd uintptr) { copied, failure = unix.FcntlInt(fd, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, failure); err != nil {
		return nil, os.NewSyscallError("dup", err)
	}
	return os.NewFile(uintptr(copied), "listener"), nil
}
