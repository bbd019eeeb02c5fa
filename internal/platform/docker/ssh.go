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

// How many connections over ssh are kept for calls to come, and for how long.
const (
	idleLogins  = 8
	idleTimeout = 30 * time.Second
)

// overSSH connects as the docker command does: by `docker system dial-stdio` at
// the far end of the ssh command, with what that is configured to.
func overSSH(host string, options []string) ([]client.Opt, error) {
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
	// Every connection is a login.
	transport := &http.Transport{DialContext: dial, MaxIdleConnsPerHost: idleLogins, IdleConnTimeout: idleTimeout}
	return []client.Opt{
		client.WithHTTPClient(&http.Client{Transport: transport}),
		client.WithHost(helper.Host),
		client.WithDialContext(dial),
		client.WithAPIVersionFromEnv(),
	}, nil
}

// sshConn is the ssh command as a connection.
type sshConn struct{ net.Conn }

// Write returns what ssh has complained about where it has ended: that is told to
// who reads.
func (c sshConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if !errors.Is(err, syscall.EPIPE) {
		return n, err
	}
	if _, complaint := c.Read(make([]byte, 1)); complaint != nil && !errors.Is(complaint, io.EOF) {
		err = complaint
	}
	return n, err
}

// CloseWrite ends what the far end reads.
func (c sshConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}
