// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// loadClients send requests to an address again and again, each with a small pause.
type loadClients struct {
	testing.TB
	cancel  context.CancelFunc
	running sync.WaitGroup
	// answered wakes awaitAnswer.
	answered chan struct{}

	mu       sync.Mutex
	answers  map[string]int
	last     map[string]time.Time
	failures []error
}

// requestPause is the pause of a client between two requests.
const requestPause = 5 * time.Millisecond

// startClients starts clients that send requests to address: some open a connection for
// each request, others keep theirs.
func startClients(t testing.TB, address string, withNewConnections, withKeepAlive int) *loadClients {
	t.Helper()
	awaitService(t, address)
	ctx, cancel := context.WithCancel(t.Context())
	c := &loadClients{
		TB: t, cancel: cancel, answered: make(chan struct{}, 1),
		answers: map[string]int{}, last: map[string]time.Time{},
	}
	for range withNewConnections {
		c.start(ctx, address, &http.Transport{DisableKeepAlives: true, DialContext: dialFromUnusedPort})
	}
	for range withKeepAlive {
		c.start(ctx, address, &http.Transport{MaxConnsPerHost: 1})
	}
	t.Cleanup(func() { c.stop() })
	return c
}

// The source ports of new connections, one after the other: below those of the test bed
// and those that the system gives to clients.
const firstSourcePort, sourcePorts = 10000, 16000

var sourcePort atomic.Int64

// dialFromUnusedPort connects from a port that was not used for a long time. For seconds
// after a connection was reset the kernel sends the next one from the same port to the
// same pod, which may be gone: it treats a new connection as the old one.
func dialFromUnusedPort(ctx context.Context, network, address string) (connection net.Conn, err error) {
	for range sourcePorts {
		port := firstSourcePort + int(sourcePort.Add(1)%sourcePorts)
		dialer := net.Dialer{LocalAddr: &net.TCPAddr{Port: port}}
		connection, err = dialer.DialContext(ctx, network, address)
		if !errors.Is(err, syscall.EADDRINUSE) && !errors.Is(err, syscall.EADDRNOTAVAIL) {
			break
		}
	}
	return connection, err
}

// awaitService returns when the node serves a new Service. It polls, because the node
// does not tell.
func awaitService(t testing.TB, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for {
		answer, err := ask(client, "http://"+address+"/")
		if err == nil && answer != "" {
			return
		}
		if cluster.Pause(ctx, requestPause) != nil {
			t.Fatalf("the node does not serve %s: %v", address, err)
		}
	}
}

func (c *loadClients) start(ctx context.Context, address string, transport *http.Transport) {
	c.running.Go(func() {
		defer transport.CloseIdleConnections()
		client := &http.Client{Transport: connectionTracer{transport}, Timeout: 10 * time.Second}
		for cluster.Pause(ctx, requestPause) == nil {
			answer, err := ask(client, "http://"+address+"/")
			c.note(answer, err)
		}
	})
}

// connectionTracer adds to the error of a request which connection it had.
type connectionTracer struct{ http.RoundTripper }

func (t connectionTracer) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	connection := "it got no connection"
	ctx := httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		connection = fmt.Sprintf("it got a connection after %s, from %s, reused %t, idle for %s",
			time.Since(began), got.Conn.LocalAddr(), got.Reused, got.IdleTime)
	}})
	response, err := t.RoundTripper.RoundTrip(r.WithContext(ctx))
	if err != nil {
		err = fmt.Errorf("%w (%s)", err, connection)
	}
	return response, err
}

func (c *loadClients) note(answer string, err error) {
	c.mu.Lock()
	if err != nil {
		c.failures = append(c.failures, fmt.Errorf("%s: %w", time.Now().Format(time.StampMilli), err))
	} else {
		c.answers[answer]++
		c.last[answer] = time.Now()
	}
	c.mu.Unlock()
	select {
	case c.answered <- struct{}{}:
	default:
	}
}

// awaitAnswer returns when a client was answered with version since the call.
func (c *loadClients) awaitAnswer(version string) {
	c.Helper()
	began := time.Now()
	ctx, cancel := context.WithTimeout(c.Context(), 30*time.Second)
	defer cancel()
	for !c.lastAnswer(version).After(began) {
		select {
		case <-c.answered:
		case <-ctx.Done():
			c.mu.Lock()
			defer c.mu.Unlock()
			c.Fatalf("no client is answered with %s: %v", version, c.answers)
		}
	}
}

// lastAnswer returns when a client was last answered with version.
func (c *loadClients) lastAnswer(version string) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last[version]
}

// stop stops the clients and returns how often each version answered.
func (c *loadClients) stop() map[string]int {
	c.cancel()
	c.running.Wait()
	return c.answers
}

// requireNoFailures stops the clients, and fails the test if any was ever not served.
func (c *loadClients) requireNoFailures() {
	c.Helper()
	answers := c.stop()
	if len(c.failures) > 0 {
		c.Errorf("%d requests failed, the first: %v", len(c.failures), c.failures[0])
	}
	if answers[""] > 0 {
		c.Errorf("%d requests were answered with nothing", answers[""])
	}
	c.Logf("answers: %v", answers)
}
