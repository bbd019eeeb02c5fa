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

// sendFile sends a message and, along with it, a file of this process.
func sendFile(to *net.UnixConn, message byte, file syscall.Conn) error {
	raw, err := file.SyscallConn()
	if err != nil {
		return err
	}
	var sendErr error
	err = raw.Control(func(fd uintptr) {
		_, _, sendErr = to.WriteMsgUnix([]byte{message}, unix.UnixRights(int(fd)), nil)
	})
	return errors.Join(err, sendErr)
}

var errNoFile = errors.New("the message carried no file")

// receiveFile is the other side of sendFile.
func receiveFile(from *net.UnixConn) (message byte, file *os.File, err error) {
	content, rights := make([]byte, 1), make([]byte, unix.CmsgSpace(4))
	n, size, _, _, err := from.ReadMsgUnix(content, rights)
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
	return content[0], os.NewFile(uintptr(fds[0]), "inherited"), nil
}
