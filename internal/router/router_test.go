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
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// edge is a router with its two environments, as a client meets it.
type edge struct {
	*router.Router

	url, addr   string
	blue, green *router.Pool
}

// open starts a router on loopback with blue live and both environments empty.
func open(tb testing.TB, protocol router.Protocol, m *router.Metrics) *edge {
	tb.Helper()
	l := listen(tb)
	e := &edge{
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
		// What a failed test left in flight must not hold the others up.
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
	b, _ := stoppable(tb, id, h)
	return b
}

// stoppable is a replica that may end before the test does.
func stoppable(tb testing.TB, id string, h http.HandlerFunc) (b router.Backend, stop func()) {
	tb.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	tb.Cleanup(s.Close)
	return router.Backend{ID: id, Addr: s.Listener.Addr().String()}, s.Close
}

// dead is a replica that refuses connections.
func dead(tb testing.TB, id string) router.Backend {
	tb.Helper()
	l := listen(tb)
	b := router.Backend{ID: id, Addr: l.Addr().String()}
	if err := l.Close(); err != nil {
		tb.Fatal(err)
	}
	return b
}

// says answers every request with the same words.
func says(words string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, words) }
}

// browser is a client with connections of its own.
func browser(tb testing.TB) *http.Client {
	tb.Helper()
	transport := &http.Transport{}
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// answer is what a client gets to see.
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

// held is a handler whose requests arrive and then stay in flight until let go.
type held struct {
	arrived chan struct{}
	release chan struct{}
}

func hold(tb testing.TB) *held {
	tb.Helper()
	return &held{arrived: make(chan struct{}, 8), release: make(chan struct{})}
}

func (h *held) answers(words string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		h.arrived <- struct{}{}
		select {
		case <-h.release:
			_, _ = io.WriteString(w, words)
		case <-r.Context().Done():
		}
	}
}

// later makes a GET in the background.
func later(tb testing.TB, c *http.Client, url string) <-chan answer {
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

// ended is a context that is over already, for this reason.
func ended(tb testing.TB, reason error) context.Context {
	tb.Helper()
	ctx, cancel := context.WithCancelCause(tb.Context())
	cancel(reason)
	return ctx
}
