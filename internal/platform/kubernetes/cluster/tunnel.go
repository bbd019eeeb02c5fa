// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"
)

// tunnels are the port-forwards of a session, one for each pod. Each carries any
// number of connections.
type tunnels struct {
	mu    sync.Mutex
	byPod map[string]*tunnel
	// closed is set once no tunnel may be opened any more.
	closed bool
}

// get returns the tunnel to a pod, which may not be open.
func (t *tunnels) get(pod string) (*tunnel, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		return nil, net.ErrClosed
	}
	if t.byPod == nil {
		t.byPod = map[string]*tunnel{}
	}
	if t.byPod[pod] == nil {
		t.byPod[pod] = &tunnel{opening: make(chan struct{}, 1)}
	}
	return t.byPod[pod], nil
}

func (t *tunnels) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for _, tunnel := range t.byPod {
		tunnel.close()
	}
}

// tunnel is a port-forward to one pod. If it has ended, the next connection opens it
// again.
type tunnel struct {
	// opening is full while the tunnel is being opened.
	opening chan struct{}

	mu       sync.Mutex
	stream   httpstream.Connection
	closed   bool
	requests int
}

// ensureOpen returns the open tunnel. It calls open if there is none.
func (t *tunnel) ensureOpen(
	ctx context.Context, open func() (httpstream.Connection, error),
) (httpstream.Connection, error) {
	select {
	case t.opening <- struct{}{}:
		defer func() { <-t.opening }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if stream := t.openStream(); stream != nil {
		return stream, nil
	}
	type result struct {
		stream httpstream.Connection
		err    error
	}
	opened := make(chan result, 1)
	go func() {
		stream, err := open()
		opened <- result{stream, err}
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, r.err
		}
		return r.stream, t.setStream(r.stream)
	case <-ctx.Done():
		// The dialer of client-go takes no context. If it still opens a connection, that
		// is closed.
		go func() {
			if r := <-opened; r.err == nil {
				_ = r.stream.Close()
			}
		}()
		return nil, ctx.Err()
	}
}

// openStream returns the stream, or nil if there is none or it has ended.
func (t *tunnel) openStream() httpstream.Connection {
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

func (t *tunnel) setStream(stream httpstream.Connection) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closed {
		_ = stream.Close()
		return net.ErrClosed
	}
	t.stream = stream
	return nil
}

// closeStream closes a stream that cannot be used any more. The next connection opens
// another stream.
func (t *tunnel) closeStream(stream httpstream.Connection) {
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

// errTunnelEnded means that the tunnel ended, and with it the connection.
var errTunnelEnded error = &UnansweredError{errors.New("port-forward: the connection to the node ended")}

// dial opens a connection to a port of the pod. It also waits for the end of the tunnel.
// A node that cannot reach the port ends the tunnel, and the library would wait for the
// answer for ever.
func (t *tunnel) dial(ctx context.Context, stream httpstream.Connection, port int) (net.Conn, error) {
	type result struct {
		conn *tunnelConn
		err  error
	}
	opened, left := make(chan result), make(chan struct{})
	defer close(left)
	go func() {
		conn, err := t.openConn(stream, port)
		select {
		case opened <- result{conn, err}:
		case <-left:
			// An unused connection would keep the tunnel from ending.
			if err == nil {
				_ = conn.Close()
			}
		}
	}()
	select {
	case r := <-opened:
		if r.err != nil {
			return nil, r.err
		}
		return r.conn.awaitRefusal(ctx)
	case <-stream.CloseChan():
		select {
		case r := <-opened:
			if r.err == nil {
				return r.conn.awaitRefusal(ctx)
			}
		default:
		}
		return nil, errTunnelEnded
	case <-ctx.Done():
		// The stream does not answer, so the next connection must not use it.
		t.closeStream(stream)
		return nil, &UnansweredError{ctx.Err()}
	}
}

// openConn asks for a connection. It has one stream for its data and one for its failure.
func (t *tunnel) openConn(stream httpstream.Connection, port int) (*tunnelConn, error) {
	headers := http.Header{}
	headers.Set(corev1.PortHeader, strconv.Itoa(port))
	headers.Set(corev1.PortForwardRequestIDHeader, strconv.Itoa(t.nextRequest()))
	headers.Set(corev1.StreamType, corev1.StreamTypeError)
	failures, err := stream.CreateStream(headers)
	if err != nil {
		return nil, &UnansweredError{fmt.Errorf("port-forward: %w", err)}
	}
	_ = failures.Close() // Nothing is sent on it.
	headers.Set(corev1.StreamType, corev1.StreamTypeData)
	data, err := stream.CreateStream(headers)
	if err != nil {
		_ = failures.Reset()
		stream.RemoveStreams(failures)
		return nil, &UnansweredError{fmt.Errorf("port-forward: %w", err)}
	}
	conn := &tunnelConn{Stream: data, failures: failures, stream: stream, tunnel: t, ended: make(chan struct{})}
	go conn.readFailure()
	return conn, nil
}
