// SPDX-License-Identifier: MPL-2.0

package listener

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// Sizes and numbers of the messages of sock_diag(7), which Go has no types for.
const (
	diagByFamily  = 20 // SOCK_DIAG_BY_FAMILY
	requestSize   = 56 // struct inet_diag_req_v2
	inodeOffset   = 68 // in struct inet_diag_msg
	listenState   = 1 << 10
	noCookie      = ^uint32(0)
	sourcePort    = 8  // in struct inet_diag_req_v2
	sourceAddress = 12 // in struct inet_diag_req_v2
	cookie        = 48 // in struct inet_diag_req_v2
)

// IsOneOf reports whether a connection to 127.0.0.1 and this port arrives at one of the sockets
// with these IDs. It asks the kernel for this one socket, which takes microseconds, however
// many there are. It returns false where the kernel does not tell.
func IsOneOf(port int, ids []string) bool {
	inode, err := lookUp(port)
	prefix := fmt.Sprintf("%d-", inode)
	return err == nil && slices.ContainsFunc(ids, func(id string) bool { return strings.HasPrefix(id, prefix) })
}

// lookUp returns the inode of the socket at which a connection to 127.0.0.1 and this port
// arrives.
func lookUp(port int) (inode uint32, err error) {
	conn, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return 0, err
	}
	defer func() { _ = unix.Close(conn) }()
	const header = unix.SizeofNlMsghdr
	var request [header + requestSize]byte
	native, body := binary.NativeEndian, request[header:]
	native.PutUint32(request[0:], uint32(len(request)))
	native.PutUint16(request[4:], diagByFamily)
	native.PutUint16(request[6:], unix.NLM_F_REQUEST)
	body[0], body[1] = unix.AF_INET, unix.IPPROTO_TCP
	native.PutUint32(body[4:], listenState)
	binary.BigEndian.PutUint16(body[sourcePort:], uint16(port))
	copy(body[sourceAddress:], []byte{127, 0, 0, 1})
	native.PutUint32(body[cookie:], noCookie)
	native.PutUint32(body[cookie+4:], noCookie)
	if err := unix.Sendto(conn, request[:], 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return 0, err
	}
	var answer [512]byte
	n, _, err := unix.Recvfrom(conn, answer[:], 0)
	switch {
	case err != nil:
		return 0, err
	case n < header+inodeOffset+4 || native.Uint16(answer[4:]) != diagByFamily:
		return 0, errors.New("nothing listens there")
	}
	return native.Uint32(answer[header+inodeOffset:]), nil
}
