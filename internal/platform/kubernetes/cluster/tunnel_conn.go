// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
)

// refusalTime is how long a new connection waits for a refusal. The node sends nothing if
// the pod accepts the connection, and soon a message if it does not.
const refusalTime = 20 * time.Millisecond

// failureTime is how long a Read at the end of a connection waits for the node's message.
// The node ends both streams of the connection at once, but they are read independently.
const failureTime = time.Second

// tunnelConn is a connection through a tunnel. It has no deadlines.
type tunnelConn struct {
	httpstream.Stream
	failures httpstream.Stream
	stream   httpstream.Connection
	tunnel   *tunnel
	close    sync.Once
	// hasWritten is set once anything was written.
	hasWritten atomic.Bool
	// ended is closed when the node has ended the stream of failures. failure is then the
	// error that it sent, or nil.
	ended   chan struct{}
	failure error
}

var _ net.Conn = (*tunnelConn)(nil)

func (c *tunnelConn) readFailure() {
	defer close(c.ended)
	message, err := io.ReadAll(io.LimitReader(c.failures, 4<<10))
	if err == nil && len(message) > 0 {
		c.failure = forwardError(string(message))
	}
}

// forwardError returns the node's message that it cannot connect to the pod as an error.
func forwardError(message string) error {
	if strings.Contains(message, "connection refused") {
		return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	line, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	return &UnansweredError{errors.New("port-forward: " + line)}
}

// awaitRefusal returns the connection unless it is refused within refusalTime.
func (c *tunnelConn) awaitRefusal(ctx context.Context) (net.Conn, error) {
	timer := time.NewTimer(refusalTime)
	defer timer.Stop()
	select {
	case <-c.ended:
		if c.failure != nil {
			_ = c.Close()
			return nil, c.failure
		}
	case <-timer.C:
	case <-ctx.Done():
		_ = c.Close()
		return nil, ctx.Err()
	}
	return c, nil
}

// Read returns the node's message as an error if the pod never accepted the connection,
// and errTunnelEnded if the tunnel ended.
func (c *tunnelConn) Read(buffer []byte) (int, error) {
	n, err := c.Stream.Read(buffer)
	if err == nil || n > 0 {
		return n, err
	}
	select {
	case <-c.ended:
		if c.failure != nil {
			return n, c.failure
		}
	case <-time.After(failureTime):
	}
	return n, c.explainEnd(err)
}

// explainEnd returns errTunnelEnded for an error of a connection whose tunnel has ended,
// and any other error as it is.
func (c *tunnelConn) explainEnd(err error) error {
	if err == nil {
		return nil
	}
	select {
	case <-c.stream.CloseChan():
		return errTunnelEnded
	default:
		return err
	}
}

func (c *tunnelConn) Write(data []byte) (int, error) {
	c.hasWritten.Store(true)
	n, err := c.Stream.Write(data)
	return n, c.explainEnd(err)
}

// Close ends the connection. If the pod has refused the connection after something was
// written to it, Close also ends the tunnel. The node keeps the data that was not read,
// and up to a fifth of the later connections would never get an answer.
func (c *tunnelConn) Close() error {
	c.close.Do(func() {
		_ = c.Reset()
		_ = c.failures.Reset()
		c.stream.RemoveStreams(c.Stream, c.failures)
		<-c.ended
		if c.failure != nil && c.hasWritten.Load() {
			c.tunnel.closeStream(c.stream)
		}
	})
	return nil
}

func (c *tunnelConn) LocalAddr() net.Addr              { return tunnelAddr{} }
func (c *tunnelConn) RemoteAddr() net.Addr             { return tunnelAddr{} }
func (c *tunnelConn) SetDeadline(time.Time) error      { return errors.ErrUnsupported }
func (c *tunnelConn) SetReadDeadline(time.Time) error  { return errors.ErrUnsupported }
func (c *tunnelConn) SetWriteDeadline(time.Time) error { return errors.ErrUnsupported }

// tunnelAddr is either end of a connection through a tunnel.
type tunnelAddr struct{}

func (tunnelAddr) Network() string { return "tcp" }
func (tunnelAddr) String() string  { return portforward.PortForwardProtocolV1Name }
