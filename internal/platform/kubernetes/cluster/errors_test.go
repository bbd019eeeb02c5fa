// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

func isUnanswered(err error) bool {
	_, ok := errors.AsType[*UnansweredError](err)
	return ok
}

// A pod that refuses a connection, or a command, has answered.
func TestClusterRefusalOfThePodIsAnAnswer(t *testing.T) {
	t.Parallel()
	h := newTunnelHarness(t)
	for range 20 {
		conn, err := h.session.Dial(t.Context(), h.pod, closedPort)
		if err == nil {
			// It is refused late.
			_, err = conn.Read(make([]byte, 1))
			h.must(conn.Close())
		}
		if !errors.Is(err, syscall.ECONNREFUSED) || isUnanswered(err) {
			t.Errorf("got %v", err)
		}
	}
	for _, command := range []string{"/no/such/program", "/bin/false"} {
		err := sharedAPI.Exec(t.Context(), sharedCluster.Namespace, h.pod, "web", []string{command})
		if err == nil || isUnanswered(err) {
			t.Errorf("%s: got %v", command, err)
		}
	}
}

// An API server that cannot be reached says nothing about the pod.
func TestClusterThatIsAwayIsNoAnswer(t *testing.T) {
	t.Parallel()
	h := newTunnelHarness(t)
	away := &API{localTime: time.Now, http: sharedAPI.http, streams: rest.CopyConfig(sharedAPI.streams)}
	away.streams.Host = "https://127.0.0.1:1"
	var err error
	away.resources, err = newResources(away.streams, sharedAPI.http)
	h.must(err)
	session := NewSession(t.Context(), away, sharedCluster.Namespace)
	t.Cleanup(session.Close)
	if _, err := session.Dial(t.Context(), h.pod, replicaPort); !isUnanswered(err) {
		t.Errorf("a connection: got %v", err)
	}
	if err := away.Exec(t.Context(), sharedCluster.Namespace, h.pod, "web", []string{"true"}); !isUnanswered(err) {
		t.Errorf("a command: got %v", err)
	}
}
