// SPDX-License-Identifier: MPL-2.0

package socket

import (
	"context"
	"errors"
	"fmt"
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenReusingPort binds address. The others listen on the same port at other
// addresses. Linux refuses an address that includes another one, as 0.0.0.0 includes
// 127.0.0.1, unless both sockets have SO_REUSEPORT (socket(7)). They have it during the
// bind only, so that no other program can listen there too.
func ListenReusingPort(others []*net.TCPListener, address string) (bound *net.TCPListener, err error) {
	resolved, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	for _, l := range others {
		if err := reusePort(l, 1); err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, reusePort(l, 0)) }()
	}
	config := net.ListenConfig{
		Control: func(_, _ string, socket syscall.RawConn) error { return setReusePort(socket, 1) },
	}
	listener, err := config.Listen(context.Background(), networkOf(resolved), resolved.String())
	if err != nil {
		return nil, err
	}
	bound, ok := listener.(*net.TCPListener)
	if !ok {
		return nil, errors.Join(fmt.Errorf("unexpected listener type %T", listener), listener.Close())
	}
	return bound, reusePort(bound, 0)
}

func reusePort(l *net.TCPListener, value int) error {
	socket, err := l.SyscallConn()
	if err != nil {
		return err
	}
	return setReusePort(socket, value)
}

func setReusePort(socket syscall.RawConn, value int) error {
	var failure error
	err := socket.Control(func(fd uintptr) {
		failure = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, value)
	})
	return errors.Join(err, failure)
}
