// SPDX-License-Identifier: MPL-2.0

//go:build unix

package router

import (
	"errors"
	"syscall"
)

// canPeek says that it can be told what has arrived on a connection without reading it.
const canPeek = true

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

// awaitData waits until something has arrived on a connection, and reports whether it is
// data and neither its end nor its deadline.
func awaitData(raw syscall.RawConn) (hasData bool) {
	err := raw.Read(func(fd uintptr) bool {
		var octet [1]byte
		n, _, err := syscall.Recvfrom(int(fd), octet[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		hasData = n > 0 && err == nil
		return !errors.Is(err, syscall.EAGAIN)
	})
	return err == nil && hasData
}
