// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// harness is a running router with its two environments, as a client sees it.
type harness struct {
	*router.Router

	url, addr   string
	blue, green *router.Pool
}

// startRouter starts a router on loopback with blue live and both environments empty.
func startRouter(tb testing.TB, protocol protocol.Protocol, m *router.Metrics) *harness {
	tb.Helper()
	l := listen(tb)
	e := &harness{
		Router: router.New("live", protocol, router.Options{Metrics: m}),
		addr:   l.Addr().String(),
		url:    "http://" + l.Addr().String(),
		blue:   router.NewPool(bluegreen.Blue, m),
		green:  router.NewPool(bluegreen.Green, m),
	}
	e.Switch(e.blue)
	served := make(chan error, 1)
	go func() { served <- e.Serve(l) }()
	tb.Cleanup(func() {
		// The shutdown must not wait for what a failed test left in flight.
		e.blue.Close()
		e.green.Close()
		if err := e.Shutdown(context.Background()); err != nil {
			tb.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			tb.Errorf("serve: %v", err)
		}
	})
	return e
}

// awaitClosedDoor returns when the address refuses connections: the shutdown has begun.
func (e *harness) awaitClosedDoor(tb testing.TB) {
	tb.Helper()
	for {
		other, err := new(net.Dialer).DialContext(tb.Context(), "tcp", e.addr)
		if err != nil {
			return
		}
		_ = other.Close()
	}
}

func listen(tb testing.TB) net.Listener {
	tb.Helper()
	l, err := new(net.ListenConfig).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	return l
}

// replica starts a server that speaks HTTP/1.1 and h2c.
func replica(tb testing.TB, id string, h http.HandlerFunc) router.Backend {
	tb.Helper()
	b, _ := stoppableReplica(tb, id, h)
	return b
}

// stoppableReplica is a replica that can be stopped before the test ends.
func stoppableReplica(tb testing.TB, id string, h http.HandlerFunc) (b router.Backend, stop func()) {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	tb.Cleanup(s.Close)
	return router.Backend{ID: id, Addr: s.Listener.Addr().String()}, s.Close
}

// refusingReplica is a replica that refuses connections.
func refusingReplica(tb testing.TB, id string) router.Backend {
	tb.Helper()
	l := listen(tb)
	b := router.Backend{ID: id, Addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	return b
}

// answerWith answers every request with the same text.
func answerWith(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

// newClient returns a client with connections of its own.
func newClient(tb testing.TB) *http.Client {
	tb.Helper()
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// answer is what a client gets.
type answer struct {
	*http.Response

	text string
}

// send makes a request and reads the whole answer.
func send(tb testing.TB, c *http.Client, method, url, body string) (answer, error) {
	tb.Helper()
	req, err := http.NewRequestWithContext(tb.Context(), method, url, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	res, err := c.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	return answer{Response: res, text: string(text)}, err
}

// get is send for a GET that must be answered.
func get(tb testing.TB, c *http.Client, url string) answer {
	tb.Helper()
	a, err := send(tb, c, http.MethodGet, url, "")
	if err != nil {
		tb.Fatalf("GET %s: %v", url, err)
	}
	return a
}

// slowHandler holds each request in flight until release is closed.
type slowHandler struct {
	arrived chan struct{}
	release chan struct{}
}

func newSlowHandler(tb testing.TB) *slowHandler {
	tb.Helper()
	return &slowHandler{arrived: make(chan struct{}, 8), release: make(chan struct{})}
}

func (h *slowHandler) answers(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.arrived <- struct{}{}
		select {
		case <-h.release:
			_, _ = io.WriteString(w, text)
		case <-r.Context().Done():
		}
	}
}

// getInBackground sends a GET and does not wait for the answer.
func getInBackground(tb testing.TB, c *http.Client, url string) <-chan answer {
	tb.Helper()
	done := make(chan answer, 1)
	go func() {
		a, err := send(tb, c, http.MethodGet, url, "")
		if err != nil {
			a.text = "error: " + err.Error()
		}
		done <- a
	}()
	return done
}

// endedContext returns a context that has already ended, for this reason.
func endedContext(tb testing.TB, cause error) context.Context {
	tb.Helper()
	ctx, cancel := context.WithCancelCause(tb.Context())
	cancel(cause)
	return ctx
}
