// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

const secret = "hunter2"

// serve runs handler on loopback for the length of the test.
func serve(t testing.TB, start func(*httptest.Server), handler http.HandlerFunc) instance {
	t.Helper()
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(server)
	t.Cleanup(server.Close)
	return instanceAt(server.Listener.Addr())
}

func TestHTTPAnswerDecides(t *testing.T) {
	t.Parallel()
	answer := func(status int, contentType, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			w.Header().Set("Set-Cookie", secret)
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, test := range map[string]struct {
		config  health.HTTP
		handler http.HandlerFunc
		want    string
	}{
		"200":          {handler: answer(200, "text/plain", "ok")},
		"204":          {handler: answer(204, "", "")},
		"404 accepted": {config: health.HTTP{StatusCodes: "200-299, 404"}, handler: answer(404, "text/plain", "no")},
		"200 refused":  {config: health.HTTP{StatusCodes: "204"}, handler: answer(200, "", ""), want: "GET /: 200 OK"},
		"503": {
			config:  health.HTTP{Path: "/healthz"},
			handler: answer(503, "", ""),
			want:    "GET /healthz: 503 Service Unavailable",
		},
		"its own code": {handler: answer(599, "", ""), want: "GET /: 599"},
		"query is not shown": {
			config:  health.HTTP{Path: "/a%20b?token=" + secret},
			handler: answer(500, "", ""),
			want:    "GET /a%20b: 500 Internal Server Error",
		},
		"text": {
			handler: answer(503, "text/plain; charset=utf-8", "\n  database \x1b[31mis\tdown \xff\r\nstack trace"),
			want:    "GET /: 503 Service Unavailable: database is down",
		},
		"json": {
			handler: answer(503, "application/json", `{"status":"down"}`),
			want:    `GET /: 503 Service Unavailable: {"status":"down"}`,
		},
		"problem": {
			handler: answer(500, "application/problem+json", `{"title":"no disk"}`),
			want:    `GET /: 500 Internal Server Error: {"title":"no disk"}`,
		},
		"no type": {handler: answer(500, ";", "?"), want: "GET /: 500 Internal Server Error"},
		"html":    {handler: answer(503, "text/html", "<!DOCTYPE html>"), want: "GET /: 503 Service Unavailable"},
		"much": {
			handler: answer(503, "text/plain", strings.Repeat("é", 1<<20)),
			want:    "GET /: 503 Service Unavailable: " + strings.Repeat("é", 160) + "…",
		},
		"just not too much": {
			handler: answer(503, "text/plain", strings.Repeat("é", 160)),
			want:    "GET /: 503 Service Unavailable: " + strings.Repeat("é", 160),
		},
		"300": {handler: answer(300, "", ""), want: "GET /: 300 Multiple Choices (redirects are not followed)"},
		"400": {handler: answer(400, "", ""), want: "GET /: 400 Bad Request"},
		"redirect": {
			handler: func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/" {
					http.Redirect(w, r, "/login?next="+secret, http.StatusFound)
				}
			},
			want: "GET /: 302 Found (redirects are not followed)",
		},
		"early hints": {handler: func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusOK)
		}},
		"hangs up": {
			handler: func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
			want:    "GET /: connection closed without an answer",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := serve(t, (*httptest.Server).Start, test.handler)
			verdict := newChecker(t, health.Config{HTTP: &test.config}).Probe(t.Context(), target)
			wantCauses(t, verdict, map[string]string{"http": test.want})
		})
	}
}

func TestHTTPProbeSendsWhatIsConfigured(t *testing.T) {
	t.Parallel()
	handler := func(w http.ResponseWriter, r *http.Request) {
		header := r.Header
		got := fmt.Sprintf("%s %s %s %s %s",
			r.Method, r.Host, r.RequestURI, header.Get("X-Token"), header.Get("User-Agent"))
		if want := "GET shop.example:8443 /ready?deep=1 " + secret + " me"; got != want {
			t.Errorf("the service saw %q, want %q", got, want)
		}
		w.WriteHeader(http.StatusTeapot)
	}
	target := serve(t, (*httptest.Server).Start, handler)
	checker := newChecker(t, health.Config{HTTP: &health.HTTP{
		Path:    "/ready?deep=1",
		Host:    "shop.example:8443",
		Headers: map[string]string{"x-token": secret, "user-agent": "me"},
	}})
	wantCauses(t, checker.Probe(t.Context(), target), map[string]string{"http": "GET /ready: 418 I'm a teapot"})
}

func TestEveryHTTPProbeOpensAndClosesItsOwnConnection(t *testing.T) {
	t.Parallel()
	var opened atomic.Int32
	ended := make(chan struct{}, 3)
	target := serve(t, func(server *httptest.Server) {
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			switch state {
			case http.StateNew:
				opened.Add(1)
			case http.StateClosed:
				ended <- struct{}{}
			}
		}
		server.Start()
	}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	checker := newChecker(t, health.Config{HealthyThreshold: 3})
	wantCauses(t, checker.Await(t.Context(), target), map[string]string{"http": ""})
	for range 3 {
		<-ended
	}
	if opened.Load() != 3 {
		t.Errorf("%d connections for 3 probes", opened.Load())
	}
}

func TestAnswerThatDoesNotEndPasses(t *testing.T) {
	t.Parallel()
	hungUp := make(chan struct{})
	target := serve(t, (*httptest.Server).Start, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(hungUp)
	})
	wantCauses(t, newChecker(t, health.Config{}).Probe(t.Context(), target), map[string]string{"http": ""})
	<-hungUp
}

func TestHTTPSNeedsNoCertificateForTheInstance(t *testing.T) {
	t.Parallel()
	names := make(chan string, 1)
	target := serve(t, func(server *httptest.Server) {
		server.TLS = &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			names <- hello.ServerName
			return nil, nil
		}}
		server.StartTLS()
	}, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	checker := newChecker(t, health.Config{HTTP: &health.HTTP{Scheme: "https", Host: "shop.example:443"}})
	wantCauses(t, checker.Probe(t.Context(), target), map[string]string{"http": ""})
	if name := <-names; name != "shop.example" {
		t.Errorf("the service was asked for %q", name)
	}
}

func TestHTTPSAnswerDecides(t *testing.T) {
	t.Parallel()
	target := serve(t, (*httptest.Server).StartTLS, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	checker := newChecker(t, health.Config{HTTP: &health.HTTP{Scheme: "https"}})
	wantCauses(t, checker.Probe(t.Context(), target), map[string]string{"http": "GET /: 503 Service Unavailable"})
}

func TestWrongSchemeIsReported(t *testing.T) {
	t.Parallel()
	plain := serve(t, (*httptest.Server).Start, func(http.ResponseWriter, *http.Request) {})
	secure := newChecker(t, health.Config{HTTP: &health.HTTP{Scheme: "https"}})
	wantCauses(t, secure.Probe(t.Context(), plain), map[string]string{
		"http": "GET /: tls: first record does not look like a TLS handshake",
	})
}

func TestServerWithoutHTTPIsReported(t *testing.T) {
	t.Parallel()
	listener := listen(t)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		_, _ = conn.Read(make([]byte, 1024))
		_, _ = io.WriteString(conn, "SSH-2.0-server\r\n")
	}()
	wantCauses(t, newChecker(t, health.Config{}).Probe(t.Context(), instanceAt(listener.Addr())), map[string]string{
		"http": `GET /: malformed HTTP response "SSH-2.0-server"`,
	})
}
