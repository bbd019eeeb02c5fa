// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"io"
	"testing"
	"time"

	"k8s.io/streaming/pkg/httpstream"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A probe that has written before it hears that the pod refuses it does not hold up
// the next ones.
func TestClusterTunnelAfterRefusals(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
	instances, err := s.platform.Instances(t.Context(), bluegreen.Green)
	s.must(err)
	pod, w, err := s.platform.podOf(t.Context(), instances[0])
	s.must(err)
	session := s.platform.newSession(t.Context(), s.api)
	defer session.end()
	tunnel, err := session.tunnels.to(pod.Name)
	s.must(err)

	const nobodyListens = 9
	for range 20 {
		stream, err := tunnel.connection(t.Context(), func() (httpstream.Connection, error) { return s.api.forward(s.namespace, pod.Name) })
		s.must(err)
		conn, err := tunnel.request(stream, nobodyListens)
		s.must(err)
		_, err = fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
		s.must(err)
		if answer, err := io.ReadAll(conn); err == nil {
			t.Errorf("nobody listens, and the answer is %q", answer)
		}
		s.must(conn.Close())
	}
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		conn, err := session.dial(ctx, pod.Name, portOf(pod, w))
		cancel()
		s.must(err)
		_, err = fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
		s.must(err)
		if answer, err := io.ReadAll(conn); err != nil || len(answer) == 0 {
			t.Errorf("the answer is %q, %v", answer, err)
		}
		s.must(conn.Close())
	}
}
