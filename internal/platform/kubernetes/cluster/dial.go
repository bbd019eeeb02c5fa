// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"

	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// Dial connects to a port of a pod by port-forward. That works from every place that
// reaches the API server. The connection ends with the session at the latest. It has no
// deadlines. The error is an UnansweredError unless the pod has refused the connection.
func (s *Session) Dial(ctx context.Context, pod string, port int) (net.Conn, error) {
	tunnel, err := s.tunnels.get(pod)
	if err != nil {
		return nil, err
	}
	conn, err := s.dialBy(ctx, tunnel, pod, port)
	if errors.Is(err, errTunnelEnded) {
		// The tunnel may have ended because of another connection, or because the pod
		// refuses this one. A second attempt, by a new tunnel, shows which.
		conn, err = s.dialBy(ctx, tunnel, pod, port)
	}
	return conn, err
}

func (s *Session) dialBy(ctx context.Context, tunnel *tunnel, pod string, port int) (net.Conn, error) {
	stream, err := tunnel.ensureOpen(ctx, func() (httpstream.Connection, error) {
		return s.api.openPortForward(s.namespace, pod)
	})
	if err != nil {
		return nil, &UnansweredError{fmt.Errorf("port-forward to pod %s: %w", pod, err)}
	}
	return tunnel.dial(ctx, stream, port)
}

// openPortForward opens a port-forward over a WebSocket, or over SPDY if the cluster does
// not support WebSockets.
func (a *API) openPortForward(namespace, pod string) (httpstream.Connection, error) {
	request := a.core.Post().Resource("pods").Namespace(namespace).Name(pod).SubResource("portforward")
	byWebSocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(request.URL(), a.streams)
	if err != nil {
		return nil, err
	}
	transport, upgrader, err := spdy.RoundTripperFor(a.streams)
	if err != nil {
		return nil, err
	}
	client := &http.Client{Transport: transport}
	bySPDY := spdy.NewDialerForStreaming(upgrader, client, http.MethodPost, request.URL())
	dialer := portforward.NewFallbackDialerForStreaming(byWebSocket, bySPDY, isWebSocketRefused)
	stream, _, err := dialer.Dial(portforward.PortForwardProtocolV1Name)
	return stream, err
}

// isWebSocketRefused reports whether err came from a server, or a proxy in front of it,
// that does not support WebSockets.
func isWebSocketRefused(err error) bool {
	return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
}
