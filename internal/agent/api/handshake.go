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

// greeting is what `agent connect` says once it has reached the agent. What
// carries the connection may say something else in its place: there a Docker
// engine tells why it could not begin the command.
const Handshake = "bluegreen agent\n"

// maxExcuse is how much of what is said in the place of the greeting is repeated.
const maxExcuse = 1024

// greeted returns nil once conn has greeted. Where something else speaks, or nobody
// any more, the error is an ErrNotRunning: nothing has reached an agent.
func AwaitHandshake(ctx context.Context, conn net.Conn) error {
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	heard := make([]byte, len(Handshake))
	n, err := io.ReadFull(conn, heard)
	said := string(heard[:n])
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case !strings.HasPrefix(Handshake, said):
		// How it ends is of no interest.
		rest, _ := io.ReadAll(io.LimitReader(conn, maxExcuse))
		return fmt.Errorf("%w: %s", ErrNotRunning, strings.TrimSpace(said+string(rest)))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the connection ended before it was reached", ErrNotRunning)
	default:
		return err
	}
}
