// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/streaming/pkg/httpstream"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// nobodyListens is a port of no replica.
const nobodyListens = 9

// burrow is a tunnel to the only pod of a deployment.
type burrow struct {
	*shop
	session *session
	*tunnel
	pod  *corev1.Pod
	port int
}

func newBurrow(t *testing.T) *burrow {
	t.Helper()
	s := newShop(t)
	s.live("1.0.0", 1)
	instances, err := s.platform.Instances(t.Context(), bluegreen.Green)
	s.must(err)
	pod, w, err := s.platform.podOf(t.Context(), instances[0])
	s.must(err)
	session := s.platform.newSession(t.Context(), s.api)
	t.Cleanup(session.end)
	tunnel, err := session.tunnels.to(pod.Name)
	s.must(err)
	return &burrow{s, session, tunnel, pod, portOf(pod, w)}
}

func (b *burrow) dig() httpstream.Connection {
	b.Helper()
	stream, err := b.connection(b.Context(), func() (httpstream.Connection, error) { return b.api.forward(b.namespace, b.pod.Name) })
	b.must(err)
	return stream
}

// late is a connection that is closed while it opens its last stream: just before
// it would know of it.
type late struct {
	httpstream.Connection
	giveUp context.CancelFunc
	closed chan struct{}
	// reset is closed with that stream.
	reset chan struct{}
}

func (l *late) CreateStream(headers http.Header) (httpstream.Stream, error) {
	stream, err := l.Connection.CreateStream(headers)
	if err != nil || headers.Get(corev1.StreamType) != corev1.StreamTypeData {
		return stream, err
	}
	l.RemoveStreams(stream)
	l.giveUp()
	<-l.closed
	return lateStream{stream, l.reset}, nil
}

func (l *late) Close() error {
	defer close(l.closed)
	return l.Connection.Close()
}

type lateStream struct {
	httpstream.Stream
	reset chan struct{}
}

func (l lateStream) Reset() error {
	defer close(l.reset)
	return l.Stream.Reset()
}

// What is opened of a connection that nobody waits for any more is closed: it would
// keep the tunnel from ending.
func TestClusterTunnelIsGivenUp(t *testing.T) {
	t.Parallel()
	s := newBurrow(t)
	ctx, cancel := context.WithCancel(t.Context())
	stream := &late{s.dig(), cancel, make(chan struct{}), make(chan struct{})}
	if _, err := s.connect(ctx, stream, nobodyListens); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-stream.reset:
	case <-time.After(time.Minute):
		t.Error("it is left open")
	}
	<-stream.CloseChan()
}

// A probe that has written before it hears that the pod refuses it does not hold up
// the next ones.
func TestClusterTunnelAfterRefusals(t *testing.T) {
	t.Parallel()
	s := newBurrow(t)
	for range 20 {
		conn, err := s.request(s.dig(), nobodyListens)
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
		conn, err := s.session.dial(ctx, s.pod.Name, s.port)
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
