// SPDX-License-Identifier: MPL-2.0

package process

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// claimPort claims the port among the agents of this machine, of all users, until the claim is
// closed or this process ends. A replica's port is bound by nobody from the exec of its program
// until that binds it. The claim is a name in the namespace of the network, and no file.
func claimPort(port int) (io.Closer, error) {
	return newSocket(unix.AF_UNIX, &unix.SockaddrUnix{Name: fmt.Sprintf("@bluegreen/replica-port/%d", port)})
}

// bindPort binds the port of 127.0.0.1 and does not listen. It does not allow others to bind it
// as well, as SO_REUSEADDR would while nobody listens.
func bindPort(port int) (*os.File, error) {
	return newSocket(unix.AF_INET, &unix.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}})
}

func newSocket(family int, address unix.Sockaddr) (*os.File, error) {
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Bind(fd, address); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), "port"), nil
}

// listen makes the socket of the port listen.
func (p boundPort) listen() error {
	// The kernel lowers it to net.core.somaxconn.
	const backlog = 65535
	return unix.Listen(int(p.socket.Fd()), backlog)
}

// EphemeralPorts returns the ports that the system gives to outgoing connections.
func EphemeralPorts() PortRange {
	var r PortRange
	text, err := os.ReadFile("/proc/sys/net/ipv4/ip_local_port_range")
	if err != nil {
		return PortRange{}
	}
	if _, err := fmt.Sscan(string(text), &r.First, &r.Last); err != nil {
		return PortRange{}
	}
	return r
}
