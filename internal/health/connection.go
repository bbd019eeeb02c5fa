// SPDX-License-Identifier: MPL-2.0

package health

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// PortDialer is a Target that reaches other ports of its instance than the one
// that the instance serves. A check with a port of its own needs it.
type PortDialer interface {
	// DialPort connects to a TCP port of the instance.
	DialPort(ctx context.Context, port int) (net.Conn, error)
}

// dial opens a connection of the probe's own; port 0 is the one that the instance serves.
func dial(ctx context.Context, target bluegreen.Target, port int) (net.Conn, error) {
	if port == 0 {
		return target.Dial(ctx)
	}
	dialer, ok := target.(PortDialer)
	if !ok {
		return nil, fmt.Errorf("port %d cannot be reached: this platform connects only to the port that the instance serves", port)
	}
	return dialer.DialPort(ctx, port)
}

// bind ties conn to ctx: when ctx ends, conn is closed, which wakes every read
// and write on any kind of connection (deadlines do not: those tunnelled
// through a cluster or a container engine may ignore them). release closes conn
// and returns when nothing touches it any more.
func bind(ctx context.Context, conn net.Conn) (release func()) {
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

// unverifiedTLS encrypts without asking who the other side is. An instance is
// reached by a loopback or pod address, or through a tunnel, and its
// certificate names the public service, so there is no name to verify. The
// platform's dialer, not the certificate, is what says that this is the
// instance; a probe sends nothing worth stealing and decides only on the answer.
func unverifiedTLS(serverName string, protocols ...string) *tls.Config {
	return &tls.Config{
		InsecureSkipVerify: true,
		ServerName:         serverName,
		NextProtos:         protocols,
	}
}
