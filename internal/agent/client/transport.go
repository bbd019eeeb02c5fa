// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
)

// transport is the one connection of a client to an agent on another host, opened when
// it is needed. An http.Transport would open as many as there are first requests,
// and could not close one with a lock on it.
type transport struct {
	transport *http.Transport
	// turn is full while a goroutine opens or closes conn.
	turn chan struct{}
	conn *http.ClientConn
}

var _ http.RoundTripper = (*transport)(nil)

func newTransport(dial func(context.Context) (net.Conn, error)) *transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &transport{
		transport: &http.Transport{
			Protocols: protocols, HTTP2: api.HTTP2Config(),
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				conn, err := dial(ctx)
				if err != nil {
					return nil, &dialError{err}
				}
				if err := api.AwaitHandshake(ctx, conn); err != nil {
					conn.Close()
					return nil, &dialError{err}
				}
				return conn, nil
			},
		},
		turn: make(chan struct{}, 1),
	}
}

// dialError means that there was no connection, so nothing was asked.
type dialError struct{ err error }

func (e *dialError) Error() string { return e.err.Error() }

func (e *dialError) Unwrap() error { return e.err }

// RoundTrip implements http.RoundTripper.
func (w *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	conn, err := w.open(request.Context())
	if err != nil {
		if request.Body != nil {
			err = errors.Join(err, request.Body.Close())
		}
		return nil, err
	}
	return conn.RoundTrip(request)
}

// open returns the connection. If there is none, or it is broken, it opens one.
func (w *transport) open(ctx context.Context) (*http.ClientConn, error) {
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
func (w *transport) close() {
	w.turn <- struct{}{}
	defer func() { <-w.turn }()
	if w.conn != nil {
		// An error says that it is broken already.
		_ = w.conn.Close()
		w.conn = nil
	}
}
