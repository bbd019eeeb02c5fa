// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"

	"github.com/docker/cli/cli/connhelper"
	"github.com/moby/moby/client"
)

// These limits say how many idle connections over ssh are kept, and for how long.
const (
	maxIdleConns = 8
	idleTimeout  = 30 * time.Second
)

// sshClientOptions returns the options of a client that connects over ssh. Like the
// docker command, it runs `docker system dial-stdio` on the host, and the ssh command
// uses the user's configuration.
func sshClientOptions(host string, options []string) ([]client.Opt, error) {
	helper, err := connhelper.GetConnectionHelperWithSSHOpts(host, options)
	if err != nil {
		return nil, err
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := helper.Dialer(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return sshConn{conn}, nil
	}
	// Each new connection logs in, so idle connections are kept.
	transport := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: maxIdleConns, IdleConnTimeout: idleTimeout}
	return []client.Opt{
		client.WithHTTPClient(&http.Client{Transport: transport}),
		client.WithHost(helper.Host),
		client.WithDialContext(dial),
		client.WithAPIVersionFromEnv(),
	}, nil
}

// sshConn is a connection to the stdin and stdout of the ssh command.
type sshConn struct{ net.Conn }

// Write returns the error message of an ssh command that has ended. The connection
// itself reports that message only to readers.
func (c sshConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if !errors.Is(err, syscall.EPIPE) {
		return n, err
	}
	if _, message := c.Read(make([]byte, 1)); message != nil && !errors.Is(message, io.EOF) {
		err = message
	}
	return n, err
}

// CloseWrite closes the stdin of the command at the far end.
func (c sshConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
