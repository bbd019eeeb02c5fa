// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockFile locks the file at path for as long as the file is open, here or in a
// process that got it from here. It returns nil if another has it.
func lockFile(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		return file, nil
	}
	file.Close()
	if errors.Is(err, unix.EWOULDBLOCK) {
		return nil, nil
	}
	return nil, err
}

// sendFile sends a word and, along with it, a file of this process.
func sendFile(to *net.UnixConn, word byte, file syscall.Conn) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) {
		_, _, sendErr = to.WriteMsgUnix([]byte{word}, unix.UnixRights(int(fd)), nil)
	})
	return errors.Join(err, sendErr)
}

var errNoFile = errors.New("no file came along")

// receiveFile is the other side of sendFile.
func receiveFile(from *net.UnixConn) (word byte, file *os.File, err error) {
	words, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	n, size, _, _, err := from.ReadMsgUnix(words, rights)
	if err != nil {
		return 0, nil, err
	}
	messages, err := unix.ParseSocketControlMessage(rights[:size])
	if err != nil || n != 1 || len(messages) != 1 {
		return 0, nil, errors.Join(errNoFile, err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return 0, nil, errors.Join(errNoFile, err)
	}
	return words[0], os.NewFile(uintptr(fds[0]), "inherited"), nil
}
