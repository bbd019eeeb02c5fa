// SPDX-License-Identifier: MPL-2.0

package api

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"syscall"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// Dial connects to the agent, or returns ErrNotRunning. Clients send secrets over
// the connection, so the directory of the socket must be the user's own.
func Dial(ctx context.Context, dir store.Dir) (net.Conn, error) {
	if err := dir.Check(); errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%w in %s", ErrNotRunning, dir)
	} else if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "unix", dir.Socket())
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("%w in %s", ErrNotRunning, dir)
	}
	return conn, err
}
