// SPDX-License-Identifier: MPL-2.0

package router

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"
)

// maxAnswerHead is how many bytes the heads of one answer may have together, the
// informational ones (1xx) included. It is the limit of net/http for requests.
const maxAnswerHead = http.DefaultMaxHeaderBytes

// errLongHead means that an answer has too long a head.
var errLongHead = fmt.Errorf("the head of the answer is longer than %d bytes", maxAnswerHead)

// silenceError means that a connection broke before any byte of an answer came.
type silenceError struct{ err error }

func (e *silenceError) Error() string { return fmt.Sprintf("no answer: %v", e.err) }
func (e *silenceError) Unwrap() error { return e.err }

// replicaConn is an HTTP/1.1 connection to a replica. One exchange uses it at a time. It
// is used again only if exactly the bytes of one answer came: a byte more would be taken
// for the beginning of the answer to somebody else's request.
type replicaConn struct {
	*net.TCPConn

	set *closerSet
	raw syscall.RawConn
	r   *bufio.Reader
	w   *bufio.Writer
	// isReused is set once an exchange has ended on the connection.
	isReused bool
	// idleSince is when it became idle, since epoch.
	idleSince time.Duration
	// arrival looks for bytes that nobody has asked for; see isQuiet.
	arrival arrival

	// headLeft is how many bytes the head may still have. hasHead is set once it has come.
	headLeft int
	mu       sync.Mutex // guards hasHead and hasLimit together with the deadlines
	hasHead  bool
	// limit is how long the replica may be silent. hasLimit is set while there is a deadline.
	hasLimit bool
	limit    time.Duration
}

// newReplicaConn returns a connection that leaves set when it is closed, or errCut if the
// set has been closed.
func newReplicaConn(conn *net.TCPConn, set *closerSet) (*replicaConn, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	c := &replicaConn{TCPConn: conn, set: set, raw: raw}
	c.r, c.w = bufio.NewReader((*headReader)(c)), bufio.NewWriterSize((*limitedWriter)(c), writeBuffer)
	if !set.add(c) {
		return nil, errors.Join(errCut, conn.Close())
	}
	return c, nil
}

// Close closes the connection. It may be called more than once and at any time.
func (c *replicaConn) Close() error {
	c.set.remove(c)
	return c.TCPConn.Close()
}

// begin makes the connection ready for an exchange. limit is how long the replica may be
// silent, 0 for any time.
func (c *replicaConn) begin(limit time.Duration) {
	c.headLeft, c.hasHead, c.limit = maxAnswerHead, false, limit
}

// writeBuffer is the size of the buffer for requests.
const writeBuffer = 4 << 10

// limitedWriter writes to the connection. What fills the buffer can be more than a replica
// takes that does not read.
type limitedWriter replicaConn

func (l *limitedWriter) Write(p []byte) (int, error) {
	if len(p) >= writeBuffer {
		(*replicaConn)(l).limitWrite()
	}
	return l.TCPConn.Write(p)
}

// headReader reads from the connection, and no more than a head may have until that has come.
type headReader replicaConn

func (h *headReader) Read(p []byte) (int, error) {
	if h.hasHead {
		return h.TCPConn.Read(p)
	}
	if h.headLeft == 0 {
		return 0, errLongHead
	}
	n, err := h.TCPConn.Read(p[:min(len(p), h.headLeft)])
	h.headLeft -= n
	return n, err
}

// readHead reads the next head of the answer to a request. Its error is a *silenceError if
// nothing came.
func (c *replicaConn) readHead(r *http.Request) (*http.Response, error) {
	if _, err := c.r.Peek(1); err != nil {
		return nil, &silenceError{err}
	}
	res, err := http.ReadResponse(c.r, r)
	if err != nil {
		return nil, err
	}
	if res.StatusCode < http.StatusContinue {
		return nil, fmt.Errorf("the answer has the status %03d", res.StatusCode)
	}
	for name := range res.Header {
		// net/http has not looked whether such a name says where the body ends.
		if strings.TrimRight(name, " \t") != name {
			return nil, fmt.Errorf("the answer has a space after the name of the header %q", name)
		}
	}
	return res, nil
}

// limitSilence limits from now on the time to the head of the answer. It has no effect once
// that has come.
func (c *replicaConn) limitSilence() { c.setDeadline(c.SetReadDeadline, c.limit) }

// limitWrite limits the time of the next write, like limitSilence.
func (c *replicaConn) limitWrite() { c.setDeadline(c.SetWriteDeadline, c.limit) }

// endWait ends the wait for the head of the answer. It has no effect once that has come.
func (c *replicaConn) endWait() { c.setDeadline(c.SetReadDeadline, -time.Second) }

// setDeadline sets a deadline unless the head has come or the limit is 0.
func (c *replicaConn) setDeadline(set func(time.Time) error, limit time.Duration) {
	if limit == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.hasHead {
		c.hasLimit = true
		// An error means that the connection is closed, which the next read says.
		_ = set(time.Now().Add(limit))
	}
}

// endSilence ends the limits: the head has come. What follows may be a stream.
func (c *replicaConn) endSilence() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hasHead = true
	if c.hasLimit {
		c.hasLimit = false
		_ = c.SetDeadline(time.Time{})
	}
}

// hasMore reports whether bytes have come that were not looked at.
func (c *replicaConn) hasMore() bool { return c.r.Buffered() > 0 }

// hasLastChunk reports whether all that has come is the end of a body in chunks.
func (c *replicaConn) hasLastChunk() bool {
	const end = "\r\n0\r\n\r\n"
	n := c.r.Buffered()
	if n == 0 || n > len(end) {
		return false
	}
	rest, _ := c.r.Peek(n)
	return strings.HasSuffix(end, string(rest)) && n >= len("0\r\n\r\n")
}

// idleConns are the idle connections to one replica. The one that became idle last is used
// first, so that those that are not needed grow old and are closed.
type idleConns struct {
	mu     sync.Mutex
	conns  []*replicaConn
	closed bool
	// timer runs while there is a connection.
	timer *time.Timer
}

// get returns a connection that can be used, nil if there is none.
func (i *idleConns) get() *replicaConn {
	for {
		conn := i.pop()
		if conn == nil || conn.isQuiet() {
			return conn
		}
		_ = conn.Close()
	}
}

func (i *idleConns) pop() *replicaConn {
	i.mu.Lock()
	defer i.mu.Unlock()
	last := len(i.conns) - 1
	if last < 0 {
		return nil
	}
	conn := i.conns[last]
	i.conns[last] = nil
	i.conns = i.conns[:last]
	return conn
}

// put keeps a connection for another exchange, or closes it if there are enough.
func (i *idleConns) put(conn *replicaConn) {
	conn.isReused, conn.idleSince = true, time.Since(epoch)
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed || len(i.conns) >= maxIdle || !canPeek {
		_ = conn.Close()
		return
	}
	i.conns = append(i.conns, conn)
	if i.timer == nil {
		i.timer = time.AfterFunc(idleTimeout, i.expire)
	}
}

// expire closes the connections that have been idle for idleTimeout.
func (i *idleConns) expire() {
	i.mu.Lock()
	defer i.mu.Unlock()
	now, old := time.Since(epoch), 0
	for old < len(i.conns) && now-i.conns[old].idleSince >= idleTimeout {
		_ = i.conns[old].Close()
		old++
	}
	n := copy(i.conns, i.conns[old:])
	clear(i.conns[n:])
	i.conns = i.conns[:n]
	i.timer = nil
	if n > 0 {
		i.timer = time.AfterFunc(i.conns[0].idleSince+idleTimeout-now, i.expire)
	}
}

// close closes the connections, and makes put close those that come back.
func (i *idleConns) close() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.closed = true
	for _, conn := range i.conns {
		_ = conn.Close()
	}
	i.conns = nil
	if i.timer != nil {
		i.timer.Stop()
		i.timer = nil
	}
}

// connect returns a connection to the replica, a new one if it has to be fresh. Its error
// is a *dialError or errCut.
func (u *upstream) connect(ctx context.Context, fresh bool) (*replicaConn, error) {
	if !fresh {
		if conn := u.idle.get(); conn != nil {
			return conn, nil
		}
	}
	dialed, err := u.dial(ctx)
	if err != nil {
		return nil, err
	}
	return newReplicaConn(dialed, &u.conns)
}
