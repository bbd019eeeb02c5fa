// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"net"
	"net/http"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Dial implements bluegreen.Workloads: by port-forward, which works from wherever
// the API server is reached.
func (p *Platform) Dial(ctx context.Context, instance bluegreen.Instance) (net.Conn, error) {
	pod, w, err := p.podOf(ctx, instance)
	if err != nil {
		return nil, err
	}
	return p.dial(ctx, pod.Name, portOf(pod, w))
}

// DialPort implements bluegreen.PortDialer.
func (p *Platform) DialPort(ctx context.Context, instance bluegreen.Instance, port int) (net.Conn, error) {
	pod, _, err := p.podOf(ctx, instance)
	if err != nil {
		return nil, err
	}
	return p.dial(ctx, pod.Name, port)
}

func (p *Platform) dial(ctx context.Context, pod string, port int) (net.Conn, error) {
	s, done, err := p.looking(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := s.dial(ctx, pod, port)
	if err != nil {
		done()
		return nil, err
	}
	return &loan{conn, done}, nil
}

// loan is a connection that gives back what it was made with.
type loan struct {
	net.Conn
	done func()
}

func (l *loan) Close() error {
	err := l.Conn.Close()
	l.done()
	return err
}

func (s *session) dial(ctx context.Context, pod string, port int) (net.Conn, error) {
	tunnel, err := s.tunnels.to(pod)
	if err != nil {
		return nil, err
	}
	stream, err := tunnel.connection(ctx, func() (httpstream.Connection, error) { return s.api.forward(s.opts.Namespace, pod) })
	if err != nil {
		return nil, fmt.Errorf("port-forward to pod %s: %w", pod, err)
	}
	return tunnel.connect(ctx, stream, port)
}

// forward opens a port-forward, over a WebSocket where the cluster can.
func (a *api) forward(namespace, pod string) (httpstream.Connection, error) {
	address := a.core.Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward").URL()
	byWebSocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(address, a.config)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(a.config)
	if err != nil {
		return nil, err
	}
	bySPDY := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, address)
	dialer := portforward.NewFallbackDialerForStreaming(byWebSocket, bySPDY, withoutWebSocket)
	stream, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	return stream, err
}

// withoutWebSocket reports whether err came from a server, or a proxy before it,
// that knows no WebSockets.
func withoutWebSocket(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}
