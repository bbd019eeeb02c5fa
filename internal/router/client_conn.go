// SPDX-License-Identifier: MPL-2.0

package router

import (
	"bytes"
	"errors"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// parkAfter is how long a client's connection is idle before it is parked.
const parkAfter = 3 * time.Second

// The states of a clientConn.
const (
	stateOpen int32 = iota
	// stateTimedOut means that the server no longer waits for the next request.
	stateTimedOut
	stateParked
	stateClosed
)

// clientConn is a client's connection as net/http's server has it. The server keeps 20 KB
// for each. So one that has been idle for a while is parked: the server believes that it
// has closed it, and gets it again as a new one when the client sends something.
//
// It is parked only if the server has nothing of a next request. That is so if all that it
// has read ends with an empty line: what it might have left is shorter than four bytes,
// because it does not wait with more, and then it is a part of this line.
type clientConn struct {
	net.Conn

	lot   *parkingLot
	state atomic.Int32
	// canPark is false if it cannot be told whether the client has sent something.
	canPark bool
	// wasParked is set if it has come back from the lot.
	wasParked bool
	// isExpected is set until its first request has begun.
	isExpected atomic.Bool

	// mu guards what follows, but hasLength and hasEncoding: the server sets deadlines while
	// another goroutine reads. A request that came together with the one before is served
	// without a read, so that isIdle may still be set then.
	mu sync.Mutex
	// begun are the first bytes, which say whether the client speaks HTTP/2. Nothing below
	// is used then.
	begun   []byte
	isHTTP2 bool
	// isIdle is set from the end of a request to the next byte that is read. What follows
	// changes only while it is set, and the bytes with each read. So a deadline may be set
	// while another goroutine reads.
	isIdle bool
	// isEarly is set while the deadline is an earlier one than the server has set.
	isEarly  bool
	deadline time.Time
	// last are the last bytes that were read.
	last [len(encodingLine)]byte
	// hasLength and hasEncoding are set once a line has begun like these headers. It may
	// have been one of a body.
	hasLength, hasEncoding atomic.Bool
	// hasEncodingAtFirst is set if it was in the first head. hasHead is set after that.
	hasEncodingAtFirst, hasHead atomic.Bool
}

const (
	// emptyLine ends a head and a body in chunks.
	emptyLine = "\r\n\r\n"
	// How the lines begin that say where a body ends, in any case.
	lengthLine   = "\ncontent-length"
	encodingLine = "\ntransfer-encoding"
)

func (c *clientConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isHTTP2 {
		return n, err
	}
	for n > 0 && len(c.begun) == 0 {
		// Empty lines before the first request are to be ignored (RFC 9112 2.2). Later they
		// may belong to a request or a body of which the server has the beginning already.
		if n = copy(p, bytes.TrimLeft(p[:n], "\r\n")); n > 0 || err != nil {
			break
		}
		c.mu.Unlock()
		n, err = c.Conn.Read(p)
		c.mu.Lock()
	}
	if n > 0 {
		c.note(p[:n])
	}
	if c.isEarly && n > 0 {
		// This may be a part of a request only. The rest has the time that the server gives.
		c.isEarly = false
		err = errors.Join(err, c.Conn.SetReadDeadline(c.deadline))
	}
	if c.isEarly && n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		c.state.CompareAndSwap(stateOpen, stateTimedOut)
	}
	return n, err
}

// note remembers what was read.
func (c *clientConn) note(read []byte) {
	if len(c.begun) < len(http2Preface) {
		c.begun = append(c.begun, read[:min(len(read), len(http2Preface)-len(c.begun))]...)
		c.isHTTP2 = string(c.begun) == http2Preface
	}
	if c.isIdle {
		c.isIdle = false
	}
	// A line may have begun in what was read before.
	var seam [2 * len(c.last)]byte
	copy(seam[:], c.last[:])
	n := len(c.last) + copy(seam[len(c.last):], read)
	c.lookForFraming(seam[:n])
	c.lookForFraming(read)
	if len(read) > len(c.last) {
		copy(c.last[:], read[len(read)-len(c.last):])
	} else {
		copy(c.last[:], seam[n-len(c.last):n])
	}
}

// lookForFraming looks for lines that say where a body ends. net/http drops them if they
// contradict each other, so that they cannot be seen in a request.
func (c *clientConn) lookForFraming(read []byte) {
	for !c.hasLength.Load() || !c.hasEncoding.Load() || !c.hasHead.Load() {
		i := bytes.IndexByte(read, '\n')
		if i < 0 {
			return
		}
		read = read[i:]
		if beginsLike(read, lengthLine) {
			c.hasLength.Store(true)
		}
		if beginsLike(read, encodingLine) {
			c.hasEncoding.Store(true)
			c.hasEncodingAtFirst.Store(c.hasEncodingAtFirst.Load() || !c.hasHead.Load())
		}
		if beginsLike(read, "\n\r\n") || beginsLike(read, "\n\n") {
			c.hasHead.Store(true)
		}
		read = read[1:]
	}
}

func beginsLike(read []byte, line string) bool {
	return len(read) >= len(line) && strings.EqualFold(string(read[:len(line)]), line)
}

// http2Preface is how a client begins that speaks HTTP/2 (RFC 9113 3.4). A part of it would not
// do: the method "PRINT" begins like it, and what its client sends next must be noted.
const http2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// SetReadDeadline sets an earlier deadline for a connection that can be parked.
func (c *clientConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isHTTP2 || !c.isIdle {
		return c.Conn.SetReadDeadline(t)
	}
	early := time.Now().Add(c.lot.after)
	if c.isEarly = c.canPark && bytes.HasSuffix(c.last[:], []byte(emptyLine)) && early.Before(t); c.isEarly {
		c.deadline, t = t, early
	}
	return c.Conn.SetReadDeadline(t)
}

// Close closes the connection, or parks it if the server closes it for being idle.
func (c *clientConn) Close() error {
	for {
		switch state := c.state.Load(); {
		case state == stateParked:
			// Only the lot closes it now.
			return nil
		case state == stateTimedOut:
			if c.state.CompareAndSwap(stateTimedOut, stateParked) {
				c.lot.park(c)
				return nil
			}
		case c.state.CompareAndSwap(state, stateClosed):
			return c.Conn.Close()
		}
	}
}

// CloseWrite lets the server wait for the client to read the end of an answer.
func (c *clientConn) CloseWrite() error {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.ErrUnsupported
	}
	return half.CloseWrite()
}

// clientListener makes the connections that it accepts ones that can be parked.
type clientListener struct {
	net.Listener

	lot *parkingLot
}

func (l *clientListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &clientConn{Conn: conn, lot: l.lot, canPark: rawConnOf(conn) != nil}, nil
}

// countConnection is the server's ConnState. A connection that is parked counts as before,
// and one that is hijacked is counted in upgradedInFlight instead.
func (f *httpFrontend) countConnection(conn net.Conn, state http.ConnState) {
	c, _ := conn.(*clientConn)
	switch state {
	case http.StateNew:
		if c == nil || !c.wasParked {
			f.connected.enter()
			f.expectFirstRequest(c)
		}
	case http.StateIdle:
		if c != nil {
			c.mu.Lock()
			c.isIdle = !c.isHTTP2
			c.mu.Unlock()
		}
	case http.StateClosed:
		f.expectNoFirstRequest(c)
		if c == nil || c.state.Load() != stateParked {
			f.connected.leave()
		}
	case http.StateHijacked:
		f.connected.leave()
	}
}

// expectFirstRequest has a shutdown wait for the first request of a client, for a moment.
func (f *httpFrontend) expectFirstRequest(c *clientConn) {
	if c != nil {
		c.isExpected.Store(true)
		f.unasked.enter()
	}
}

// expectNoFirstRequest ends that: the request has begun, or the client has gone.
func (f *httpFrontend) expectNoFirstRequest(c *clientConn) {
	if c != nil && c.isExpected.Swap(false) {
		f.unasked.leave()
	}
}
