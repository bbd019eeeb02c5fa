// SPDX-License-Identifier: MPL-2.0

package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// PortDialer is a Target that can also connect to other ports of its instance than
// the one that the instance serves. A check with a port of its own needs it.
type PortDialer interface {
	// DialPort connects to a TCP port of the instance.
	DialPort(ctx context.Context, port int) (net.Conn, error)
}

// dial opens a new connection to the instance; port 0 is the one that it serves.
func dial(ctx context.Context, target bluegreen.Target, port int) (net.Conn, error) {
	if port == 0 {
		return target.Dial(ctx)
	}
	dialer, ok := target.(PortDialer)
	if !ok {
		return nil, fmt.Errorf(
			"port %d cannot be reached: this platform connects only to the port that the instance serves", port)
	}
	return dialer.DialPort(ctx, port)
}

// closeWhenDone closes conn when ctx ends, which ends every read and write on any
// kind of connection. Deadlines would not: connections that are tunnelled through
// a cluster or a container engine may ignore them. The returned function closes
// conn itself, and returns when nothing uses conn any more.
func closeWhenDone(ctx context.Context, conn net.Conn) (closeNow func()) {
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		_ = conn.Close()
	})
	return func() {
		if stop() {
			_ = conn.Close()
			return
		}
		<-closed
	}
}

// unverifiedTLS returns a configuration that does not verify the certificate. An
// instance is reached at a loopback or pod address, or through a tunnel, while its
// certificate is for the public name of the service, so there is no name to
// verify. The platform's dialer makes sure that this is the instance.
func unverifiedTLS(serverName string, protocols ...string) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true,
		ServerName:         serverName,
		NextProtos:         protocols,
	}
}
