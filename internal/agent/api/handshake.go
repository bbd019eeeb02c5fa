// SPDX-License-Identifier: MPL-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// Handshake is what `agent connect` says once it has reached the agent. What
// carries the connection may send another text instead: a Docker engine reports
// there why it could not start the command.
const Handshake = "bluegreen agent\n"

// maxReason is how much of what arrives in place of the handshake the error repeats.
const maxReason = 1024

// AwaitHandshake returns nil once the handshake has arrived on conn. Where something
// else answers, or the connection has ended, the error is an ErrNotRunning: nothing
// has reached an agent.
func AwaitHandshake(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	received := make([]byte, len(Handshake))
	n, err := io.ReadFull(conn, received)
	text := string(received[:n])
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !strings.HasPrefix(Handshake, text):
		// How it ends is of no interest.
		rest, _ := io.ReadAll(io.LimitReader(conn, maxReason))
		return fmt.Errorf("%w: %s", ErrNotRunning, strings.TrimSpace(text+string(rest)))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the connection ended before the agent answered", ErrNotRunning)
	default:
		return err
	}
}
