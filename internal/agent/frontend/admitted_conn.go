// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"io"
	"net"
	"sync"
)

// admittedConn is the connection of a client that was admitted. It embeds the concrete type to
// keep CloseWrite.
type admittedConn struct {
	*net.TCPConn

	share *share
	leave func()
}

func newAdmittedConn(conn *net.TCPConn, admitted *share) *admittedConn {
	return &admittedConn{conn, admitted, sync.OnceFunc(admitted.leave)}
}

// Close implements net.Conn.
func (c *admittedConn) Close() error {
	defer c.leave()
	return c.TCPConn.Close()
}

// WriteTo copies what the client sends. The kernel does it if w is a connection, and if there
// are descriptors for its pipe.
func (c *admittedConn) WriteTo(w io.Writer) (int64, error) {
	if !c.share.trySplice() {
		return io.Copy(struct{ io.Writer }{w}, struct{ io.Reader }{c.TCPConn})
	}
	defer c.share.endSplice()
	return c.TCPConn.WriteTo(w)
}

// ReadFrom copies what the client receives, as WriteTo does.
func (c *admittedConn) ReadFrom(r io.Reader) (int64, error) {
	if !c.share.trySplice() {
		return io.Copy(struct{ io.Writer }{c.TCPConn}, struct{ io.Reader }{r})
	}
	defer c.share.endSplice()
	return c.TCPConn.ReadFrom(r)
}
