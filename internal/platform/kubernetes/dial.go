// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"net"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Dial implements bluegreen.Workloads. It connects by port-forward.
func (p *Platform) Dial(ctx context.Context, instance bluegreen.Instance) (net.Conn, error) {
	pod, w, err := p.podOf(ctx, instance)
	if err != nil {
		return nil, err
	}
	return p.dialPod(ctx, pod.Name, servingPort(pod, w))
}

// DialPort implements bluegreen.PortDialer.
func (p *Platform) DialPort(ctx context.Context, instance bluegreen.Instance, port int) (net.Conn, error) {
	pod, _, err := p.podOf(ctx, instance)
	if err != nil {
		return nil, err
	}
	return p.dialPod(ctx, pod.Name, port)
}

func (p *Platform) dialPod(ctx context.Context, pod string, port int) (net.Conn, error) {
	s, release, err := p.readSession(ctx)
	if err != nil {
		return nil, couldNotAsk(err)
	}
	conn, err := s.Dial(ctx, pod, port)
	if err != nil {
		release()
		return nil, explainUnanswered(err)
	}
	return &sessionConn{conn, release}, nil
}

// sessionConn is a connection that releases its session when it is closed.
type sessionConn struct {
	net.Conn
	release func()
}

func (c *sessionConn) Read(buffer []byte) (int, error) {
	n, err := c.Conn.Read(buffer)
	return n, explainUnanswered(err)
}

func (c *sessionConn) Write(data []byte) (int, error) {
	n, err := c.Conn.Write(data)
	return n, explainUnanswered(err)
}

func (c *sessionConn) Close() error {
	err := c.Conn.Close()
	c.release()
	return err
}
