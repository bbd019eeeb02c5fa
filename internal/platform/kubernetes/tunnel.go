// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/streaming/pkg/httpstream"
)

// tunnels are the port-forwards of a session, one for each pod. Each carries any
// number of connections.
type tunnels struct {
	mu   sync.Mutex
	open map[string]*tunnel
	// closed refuses what is opened after the end.
	closed bool
}

// to returns the tunnel to a pod, which may not have been opened yet.
func (t *tunnels) to(pod string) (*tunnel, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, net.ErrClosed
	}
	if t.open == nil {
		t.open = map[string]*tunnel{}
	}
	if t.open[pod] == nil {
		t.open[pod] = &tunnel{turn: make(chan struct{}, 1)}
	}
	return t.open[pod], nil
}

func (t *tunnels) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, tunnel := range t.open {
		tunnel.close()
	}
}

// tunnel is a port-forward to one pod.
type tunnel struct {
	// turn is held by who opens the tunnel.
	turn chan struct{}

	mu       sync.Mutex
	stream   httpstream.Connection
	closed   bool
	requests int
}

// connection returns the open tunnel; dial opens it where it is not, or not any more.
func (t *tunnel) connection(ctx context.Context, dial func() (httpstream.Connection, error)) (httpstream.Connection, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if stream := t.alive(); stream != nil {
		return stream, nil
	}
	type dialled struct {
		stream httpstream.Connection
		err    error
	}
	opened := make(chan dialled, 1)
	go func() {
		stream, err := dial()
		opened <- dialled{stream, err}
	}()
	select {
	case d := <-opened:
		if d.err != nil {
			return nil, d.err
		}
		return d.stream, t.keep(d.stream)
	case <-ctx.Done():
		// The dialler knows no context: what it may still open is closed then.
		go func() {
			if d := <-opened; d.err == nil {
				_ = d.stream.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

func (t *tunnel) alive() httpstream.Connection {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stream == nil {
		return nil
	}
	select {
	case <-t.stream.CloseChan():
		return nil
	default:
		return t.stream
	}
}

func (t *tunnel) keep(stream httpstream.Connection) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = stream.Close()
		return net.ErrClosed
	}
	t.stream = stream
	return nil
}

// abandon ends a stream that nothing more is to go through.
func (t *tunnel) abandon(stream httpstream.Connection) {
	t.mu.Lock()
	if t.stream == stream {
		t.stream = nil
	}
	t.mu.Unlock()
	_ = stream.Close()
}

func (t *tunnel) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	if t.stream != nil {
		_ = t.stream.Close()
	}
}

func (t *tunnel) nextRequest() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	return t.requests
}

// refusalTime is how long a new connection is given to be refused. The other end
// says nothing when the pod accepts it, and soon something when it does not.
const refusalTime = 20 * time.Millisecond

// farewellTime is how long the end of a connection waits to hear how it went. A node
// ends both streams of a connection at once, but they are read independently.
const farewellTime = time.Second

// errTunnel: the tunnel ended, and the connection with it.
var errTunnel = errors.New("port-forward: the connection to the node ended")

// connect opens a connection to a port of the pod. A node that cannot reach the
// port ends the tunnel, and the library goes on waiting for its answer.
func (t *tunnel) connect(ctx context.Context, stream httpstream.Connection, port int) (net.Conn, error) {
	type opened struct {
		conn *tunnelConn
		err  error
	}
	answer, left := make(chan opened), make(chan struct{})
	defer close(left)
	go func() {
		conn, err := t.request(stream, port)
		select {
		case answer <- opened{conn, err}:
		case <-left:
			// A connection that nobody has would keep the tunnel from ending.
			if err == nil {
				_ = conn.Close()
			}
		}
	}()
	select {
	case a := <-answer:
		if a.err != nil {
			return nil, a.err
		}
		return a.conn.accepted(ctx)
	case <-stream.CloseChan():
		select {
		case a := <-answer:
			if a.err == nil {
				return a.conn.accepted(ctx)
			}
		default:
		}
		return nil, errTunnel
	case <-ctx.Done():
		// One that does not answer is no use to the next connection either.
		t.abandon(stream)
		return nil, ctx.Err()
	}
}

// request asks for a connection: a stream for its data and one for its failure.
func (t *tunnel) request(stream httpstream.Connection, port int) (*tunnelConn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(t.nextRequest()))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failures, err := stream.CreateStream(headers)
	if err != nil {
		return nil, fmt.Errorf("port-forward: %w", err)
	}
	_ = failures.Close() // Nothing is sent on it.
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := stream.CreateStream(headers)
	if err != nil {
		_ = failures.Reset()
		stream.RemoveStreams(failures)
		return nil, fmt.Errorf("port-forward: %w", err)
	}
	conn := &tunnelConn{Stream: data, failures: failures, stream: stream, tunnel: t, ended: make(chan struct{})}
	go conn.listen()
	return conn, nil
}

// accepted returns the connection unless it is refused soon.
func (c *tunnelConn) accepted(ctx context.Context) (net.Conn, error) {
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

// tunnelConn is a connection through a tunnel. It knows no deadlines.
type tunnelConn struct {
	httpstream.Stream
	failures httpstream.Stream
	stream   httpstream.Connection
	tunnel   *tunnel
	close    sync.Once
	// wrote is set once anything was written.
	wrote atomic.Bool
	// ended is closed when the other end has told how it went; failure says so.
	ended   chan struct{}
	failure error
}

var _ net.Conn = (*tunnelConn)(nil)

func (c *tunnelConn) listen() {
	defer close(c.ended)
	message, err := io.ReadAll(io.LimitReader(c.failures, 4<<10))
	if err == nil && len(message) > 0 {
		c.failure = forwardError(string(message))
	}
}

// forwardError makes an error of what a node says when the pod cannot be connected to.
func forwardError(message string) error {
	if strings.Contains(message, "connection refused") {
		return &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	return errors.New("port-forward: " + firstLine(message))
}

// Read blames the pod for the end of a connection that never stood, and the tunnel
// for one that it took along.
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
	case <-time.After(farewellTime):
	}
	select {
	case <-c.stream.CloseChan():
		return n, errTunnel
	default:
		return n, err
	}
}

func (c *tunnelConn) Write(data []byte) (int, error) {
	c.wrote.Store(true)
	return c.Stream.Write(data)
}

// Close ends the connection. Where the pod has refused it and something was written
// all the same, the tunnel ends with it: the node keeps what nobody reads from it,
// and up to a fifth of what comes after that never gets an answer.
func (c *tunnelConn) Close() error {
	c.close.Do(func() {
		_ = c.Reset()
		_ = c.failures.Reset()
		c.stream.RemoveStreams(c.Stream, c.failures)
		<-c.ended
		if c.failure != nil && c.wrote.Load() {
			c.tunnel.abandon(c.stream)
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
