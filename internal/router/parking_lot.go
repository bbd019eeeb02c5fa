// SPDX-License-Identifier: MPL-2.0

package router

import (
	"net"
	"sync/atomic"
	"syscall"
	"time"
)

// parkingLot holds connections whose clients are silent, without the buffers and the stack
// that the server has for each. It is a listener that accepts them when they are not.
type parkingLot struct {
	// after is parkAfter, but for tests.
	after  time.Duration
	parked closerSet
	back   chan net.Conn
	closed chan struct{}
	isShut atomic.Bool
	// connected counts the clients' connections.
	connected *inFlight
	// isCrowded is that of the router.
	isCrowded func() bool
}

var _ net.Listener = (*parkingLot)(nil)

func newParkingLot(connected *inFlight, isCrowded func() bool) *parkingLot {
	return &parkingLot{
		after: parkAfter, back: make(chan net.Conn), closed: make(chan struct{}), connected: connected,
		isCrowded: isCrowded,
	}
}

// Accept returns a connection whose client has sent something.
func (l *parkingLot) Accept() (net.Conn, error) {
	select {
	case conn := <-l.back:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close closes what is parked.
func (l *parkingLot) Close() error {
	if l.isShut.CompareAndSwap(false, true) {
		close(l.closed)
		l.parked.closeAll()
	}
	return nil
}

// Addr returns no address: nobody connects here.
func (*parkingLot) Addr() net.Addr { return &net.UnixAddr{Name: "parked", Net: "unix"} }

// closeOne closes a connection that is parked, if there is one.
func (l *parkingLot) closeOne() { l.parked.closeOne() }

// park holds a connection until its client sends something, or closes it if others wait.
func (l *parkingLot) park(c *clientConn) {
	c.mu.Lock()
	deadline := c.deadline
	c.mu.Unlock()
	// What the server allows is clientIdleTimeout, of which some seconds are over.
	if l.isCrowded() || !l.parked.add(c.Conn) || c.Conn.SetReadDeadline(deadline) != nil {
		l.end(c.Conn)
		return
	}
	go l.wait(c.Conn)
}

// wait gives the connection back when its client sends something, and closes it if that
// goes or is silent for too long.
func (l *parkingLot) wait(conn net.Conn) {
	hasData := awaitData(rawConnOf(conn))
	l.parked.remove(conn)
	if hasData && conn.SetReadDeadline(time.Time{}) == nil {
		select {
		case l.back <- &clientConn{Conn: conn, lot: l, canPark: true, wasParked: true}:
			return
		case <-l.closed:
		}
	}
	l.end(conn)
}

// end closes a connection, which then counts no more.
func (l *parkingLot) end(conn net.Conn) {
	l.parked.remove(conn)
	_ = conn.Close()
	l.connected.leave()
}

// rawConnOf returns the socket of a connection, nil if it has none or if awaitData does not
// work here.
func rawConnOf(conn net.Conn) syscall.RawConn {
	if proxied, ok := conn.(interface{ Raw() net.Conn }); ok {
		conn = proxied.Raw()
	}
	socket, ok := conn.(syscall.Conn)
	if !ok || !canPeek {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}
