// SPDX-License-Identifier: MPL-2.0

package socket

import (
	"net"
	"syscall"

	"golang.org/x/sys/unix"
)

// PeerPID returns the process that began to listen on the Unix socket that conn is connected to,
// 0 if that cannot be told (SO_PEERCRED in unix(7)).
func PeerPID(conn net.Conn) int {
	raw, ok := conn.(syscall.Conn)
	if !ok {
		return 0
	}
	control, err := raw.SyscallConn()
	if err != nil {
		return 0
	}
	pid := 0
	_ = control.Control(func(fd uintptr) {
		if peer, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
			pid = int(peer.Pid)
		}
	})
	return pid
}
