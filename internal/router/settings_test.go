// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// A replica that says nothing is a 504, and it is blamed for that.
func TestReplicaThatDoesNotAnswerInTimeIsAGatewayTimeout(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	e, slow := startRouter(t, protocol.HTTP, metrics(t, registry, "web")), newSlowHandler(t)
	reported := make(chan error, 8)
	e.blue.OnFailure(func(_ router.Backend, _ int, cause error) { reported <- cause })
	e.blue.Set([]router.Backend{replica(t, "blue-1", slow.answers("late"))})
	// A replica that has not read the body does not notice that its client has gone.
	t.Cleanup(func() { close(slow.release) })
	e.Configure(router.Settings{ResponseTimeout: 20 * time.Millisecond})
	c := newClient(t)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		got, err := send(t, c, method, e.url, "order")
		if err != nil {
			t.Fatal(err)
		}
		if got.StatusCode != http.StatusGatewayTimeout || got.text != "the replica did not answer within 20ms\n" {
			t.Errorf("%s: %s %q", method, got.Status, got.text)
		}
		if cause := <-reported; cause == nil {
			t.Error("the replica is not blamed")
		}
	}
	if len(slow.arrived) != 2 {
		t.Errorf("the replica got %d requests, want 2", len(slow.arrived))
	}
	if n := nonzero(t, registry)["failures_total web blue timeout"]; n != 2 {
		t.Errorf("%v failures are counted as timeouts", n)
	}
}

// A replica that does not even read is a 504 too.
func TestReplicaThatDoesNotReadIsAGatewayTimeout(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	silent := serveRaw(t, func(int, net.Conn) { <-t.Context().Done() })
	e.blue.Set([]router.Backend{{ID: "blue-1", Addr: silent}})
	e.Configure(router.Settings{ResponseTimeout: 50 * time.Millisecond})
	// More than the buffers of all sockets hold.
	got, err := send(t, newClient(t), http.MethodPost, e.url, strings.Repeat("x", 64<<20))
	if err != nil {
		t.Fatal(err)
	}
	if got.StatusCode != http.StatusGatewayTimeout {
		t.Errorf("the client got %s", got.Status)
	}
}

// The time counts from the end of the request to the head of the answer. Neither a slow
// upload nor a slow answer is cut.
func TestResponseTimeoutDoesNotCutStreams(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	// Long enough for a head on a busy machine.
	const timeout = time.Second
	e.Configure(router.Settings{ResponseTimeout: timeout})
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_ = http.NewResponseController(w).Flush()
		<-time.After(timeout + timeout/4)
		_, _ = w.Write(body)
	})})
	body, sender := io.Pipe()
	go func() {
		_, _ = io.WriteString(sender, "one ")
		<-time.After(timeout + timeout/4)
		_, _ = io.WriteString(sender, "two")
		_ = sender.Close()
	}()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url, body)
	res, err := newClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || string(text) != "one two" {
		t.Errorf("the answer is %q, %v", text, err)
	}
}

func TestLongBodyIsRefused(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	e.Configure(router.Settings{MaxBody: 1000})
	e.blue.OnFailure(func(_ router.Backend, _ int, cause error) { t.Errorf("the replica is blamed: %v", cause) })
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
		if body, err := io.ReadAll(r.Body); err == nil {
			_, _ = w.Write(body)
		}
	})})
	for _, c := range []*http.Client{newClient(t), newH2CClient(t)} {
		for _, isChunked := range []bool{false, true} {
			for size, want := range map[int]int{1000: http.StatusOK, 1001: http.StatusRequestEntityTooLarge} {
				text := strings.Repeat("x", size)
				var body io.Reader = strings.NewReader(text)
				if isChunked {
					body = struct{ io.Reader }{body}
				}
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url, body)
				res, err := c.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				got, _ := io.ReadAll(res.Body)
				_ = res.Body.Close()
				if res.StatusCode != want || want == http.StatusOK && string(got) != text {
					t.Errorf("%d bytes, chunks: %v: %s %q", size, isChunked, res.Status, got)
				}
			}
		}
	}
}

// A trusted proxy is believed what it says about its client in X-Forwarded-* and Forwarded,
// and is added to the list. Most proxies pass on other such headers from their clients.
func TestTrustedProxyIsBelieved(t *testing.T) {
	t.Parallel()
	claims := http.Header{
		"X-Forwarded-For": {"203.0.113.7", "198.51.100.1"}, "X-Forwarded-Proto": {"https"},
		"X-Forwarded-Host": {"shop.example"}, "X-Forwarded-Port": {"443"}, "X-Real-Ip": {"203.0.113.7"},
		"Forwarded": {"for=203.0.113.7;proto=https"}, "X_Forwarded_For": {"192.0.2.66"},
		"X-Original-Url": {"/admin"}, "True-Client-Ip": {"192.0.2.66"},
	}
	believed := http.Header{
		"X-Forwarded-For": {"203.0.113.7, 198.51.100.1, 127.0.0.1"}, "X-Forwarded-Proto": {"https"},
		"X-Forwarded-Host": {"shop.example"}, "X-Forwarded-Port": {"443"},
		"Forwarded": {"for=203.0.113.7;proto=https, for=127.0.0.1"},
	}
	replaced := http.Header{
		"X-Forwarded-For": {"127.0.0.1"}, "X-Forwarded-Proto": {"http"}, "X-Forwarded-Host": {"web"},
	}
	for network, want := range map[string]http.Header{"127.0.0.0/8": believed, "10.0.0.0/8": replaced} {
		e := startRouter(t, protocol.HTTP, nil)
		seen := make(chan http.Header, 1)
		e.blue.Set([]router.Backend{replica(t, "blue-1", func(_ http.ResponseWriter, r *http.Request) {
			seen <- r.Header
		})})
		e.Configure(router.Settings{TrustedProxies: []netip.Prefix{netip.MustParsePrefix(network)}})
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url, http.NoBody)
		req.Header, req.Host = claims.Clone(), "web"
		res, err := newClient(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		got := <-seen
		for name := range claims {
			if !slices.Equal(got[name], want[name]) {
				t.Errorf("trusting %s: %s is %q, want %q", network, name, got[name], want[name])
			}
		}
	}
}
