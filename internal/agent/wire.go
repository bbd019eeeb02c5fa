// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"net"
	"net/http"
	"time"
)

const (
	// pingAfter is how long nothing need come over a connection before the other
	// side is asked whether it is there, pingTimeout how long it may take to say so.
	// A lock ends with its connection, and so also with a host that is gone.
	pingAfter   = 15 * time.Second
	pingTimeout = 15 * time.Second
	// maxStreams is how much a client may do at a time over its connection: locks and
	// dialled replicas count. It is far above what any host runs.
	maxStreams = 10_000
)

// pings finds out about connections that nobody has closed.
func pings() *http.HTTP2Config {
	return &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, MaxConcurrentStreams: maxStreams}
}

// wire is the one connection of a client to an agent on another host, opened when
// it is needed. An http.Transport would open as many as there are first requests,
// and could not close one with a lock on it.
type wire struct {
	transport *http.Transport
	// turn is held by whoever looks after conn.
	turn chan struct{}
	conn *http.ClientConn
}

var _ http.RoundTripper = (*wire)(nil)

func newWire(dial func(context.Context) (net.Conn, error)) *wire {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &wire{
		transport: &http.Transport{
			Protocols: protocols, HTTP2: pings(),
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := dial(ctx)
				if err != nil {
					return nil, &dialError{err}
				}
				if err := greeted(ctx, conn); err != nil {
					conn.Close()
					return nil, &dialError{err}
				}
				return conn, nil
			},
		},
		turn: make(chan struct{}, 1),
	}
}

// dialError says that there was no connection, hence that nothing was asked.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }

func (e *dialError) Unwrap() error { return e.err }

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(request *http.Request) (*http.Response, error) {
	conn, err := w.open(request.Context())
	if err != nil {
		if request.Body != nil {
			err = errors.Join(err, request.Body.Close())
		}
		return nil, err
	}
	return conn.RoundTrip(request)
}

// open returns the connection, a new one where there is none or it is broken.
func (w *wire) open(ctx context.Context) (*http.ClientConn, error) {
	select {
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case w.turn <- struct{}{}:
	}
	defer func() { <-w.turn }()
	if w.conn != nil && w.conn.Err() == nil {
		return w.conn, nil
	}
	conn, err := w.transport.NewClientConn(ctx, "http", "agent:80")
	if err != nil {
		return nil, err
	}
	w.conn = conn
	return conn, nil
}

// close ends the connection and everything that goes on over it.
func (w *wire) close() {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	if w.conn != nil {
		// An error says that it is broken already.
		_ = w.conn.Close()
		w.conn = nil
	}
}
