// SPDX-License-Identifier: MPL-2.0

//go:build unix

package router

import (
	"errors"
	"syscall"
)

// canReuse says that isQuiet can tell whether a connection can be used again.
const canReuse = true

// arrival is what isQuiet needs. It is kept with the connection, so that the question
// allocates nothing.
type arrival struct {
	look    func(fd uintptr) bool
	isQuiet bool
	octet   [1]byte
}

// isQuiet reports whether the connection is open and nothing has arrived on it. A byte that
// comes before a request is no answer to it.
func (c *replicaConn) isQuiet() bool {
	a := &c.arrival
	if a.look == nil {
		a.look = func(fd uintptr) bool {
			_, _, err := syscall.Recvfrom(int(fd), a.octet[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
			a.isQuiet = errors.Is(err, syscall.EAGAIN)
			return true
		}
	}
	a.isQuiet = false
	err := c.raw.Read(a.look)
	return err == nil && a.isQuiet
}
