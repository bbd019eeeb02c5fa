// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/streaming/pkg/httpstream"
)

const (
	// replicaPort is where the test service listens.
	replicaPort = 8000
	// closedPort is a port on which nothing listens.
	closedPort = 9
)

// tunnelHarness is a tunnel to a pod of the test service.
type tunnelHarness struct {
	*testing.T
	*tunnel
	session *Session
	pod     string
}

func newTunnelHarness(t *testing.T) *tunnelHarness {
	t.Helper()
	session := NewSession(t.Context(), sharedAPI, sharedCluster.Namespace)
	t.Cleanup(session.Close)
	pod := startPod(t, session)
	tunnel, err := session.tunnels.get(pod)
	if err != nil {
		t.Fatal(err)
	}
	return &tunnelHarness{t, tunnel, session, pod}
}

// startPod returns the name of a pod that is ready. It is removed with the test.
func startPod(t *testing.T, session *Session) string {
	t.Helper()
	labels := map[string]string{"test": strings.ToLower(t.Name())}
	grace := int64(0)
	pods := sharedAPI.Pods(sharedCluster.Namespace)
	pod, err := pods.Create(t.Context(), &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "tunnel-", Labels: labels},
		Spec: corev1.PodSpec{TerminationGracePeriodSeconds: &grace, Containers: []corev1.Container{{
			Name: "web", Image: sharedCluster.Image(t),
			Env: []corev1.EnvVar{
				{Name: "PORT", Value: strconv.Itoa(replicaPort)}, {Name: "BLUEGREEN_VERSION", Value: "1.0.0"},
			},
			ReadinessProbe: &corev1.Probe{PeriodSeconds: 1, ProbeHandler: corev1.ProbeHandler{
				HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt(replicaPort)},
			}},
		}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pods.Delete(context.WithoutCancel(t.Context()), pod.Name, metav1.DeleteOptions{}); err != nil {
			t.Error(err)
		}
	})
	informer := session.Pods(labels)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if err := session.Await(ctx, func() (bool, time.Duration, error) {
		found, err := informer.Items()
		return err == nil && len(found) == 1 && isReady(found[0]), 0, err
	}); err != nil {
		t.Fatal(err)
	}
	return pod.Name
}

func isReady(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.PodReady {
			return condition.Status == corev1.ConditionTrue
		}
	}
	return false
}

func (h *tunnelHarness) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func (h *tunnelHarness) open() httpstream.Connection {
	h.Helper()
	stream, err := h.ensureOpen(h.Context(), func() (httpstream.Connection, error) {
		return sharedAPI.openPortForward(sharedCluster.Namespace, h.pod)
	})
	h.must(err)
	return stream
}

// closingConnection is closed while it opens its last stream, just before the caller
// has it.
type closingConnection struct {
	httpstream.Connection
	giveUp context.CancelFunc
	closed chan struct{}
	// reset is closed when that stream is reset.
	reset chan struct{}
}

func (c *closingConnection) CreateStream(headers http.Header) (httpstream.Stream, error) {
	stream, err := c.Connection.CreateStream(headers)
	if err != nil || headers.Get(corev1.StreamType) != corev1.StreamTypeData {
		return stream, err
	}
	c.RemoveStreams(stream)
	c.giveUp()
	<-c.closed
	return resetStream{stream, c.reset}, nil
}

func (c *closingConnection) Close() error {
	defer close(c.closed)
	return c.Connection.Close()
}

type resetStream struct {
	httpstream.Stream
	reset chan struct{}
}

func (s resetStream) Reset() error {
	defer close(s.reset)
	return s.Stream.Reset()
}

// A stream of a connection that is no longer waited for is closed: it would keep the
// tunnel from ending.
func TestClusterTunnelIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newTunnelHarness(t)
	ctx, cancel := context.WithCancel(t.Context())
	stream := &closingConnection{h.open(), cancel, make(chan struct{}), make(chan struct{})}
	if _, err := h.dial(ctx, stream, closedPort); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	select {
	case <-stream.reset:
	case <-time.After(time.Minute):
		t.Error("the stream is left open")
	}
	<-stream.CloseChan()
}

// A probe that has written before it learns that the pod refuses it does not hold up
// the next probes.
func TestClusterTunnelAfterRefusals(t *testing.T) {
	t.Parallel()
	h := newTunnelHarness(t)
	for range 20 {
		conn, err := h.openConn(h.open(), closedPort)
		h.must(err)
		_, err = fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
		h.must(err)
		if answer, err := io.ReadAll(conn); err == nil {
			t.Errorf("nothing listens, and the answer is %q", answer)
		}
		h.must(conn.Close())
	}
	for range 10 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		conn, err := h.session.Dial(ctx, h.pod, replicaPort)
		cancel()
		h.must(err)
		_, err = fmt.Fprint(conn, "GET / HTTP/1.0\r\n\r\n")
		h.must(err)
		if answer, err := io.ReadAll(conn); err != nil || len(answer) == 0 {
			t.Errorf("the answer is %q, %v", answer, err)
		}
		h.must(conn.Close())
	}
}
