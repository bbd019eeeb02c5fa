// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// entries returns the lines so far, without the times and durations, which must be there.
func (l *lines) entries(t *testing.T) (entries []map[string]any) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	decoder := json.NewDecoder(bytes.NewReader(l.buf.Bytes()))
	for decoder.More() {
		var entry map[string]any
		if err := decoder.Decode(&entry); err != nil {
			t.Fatal(err)
		}
		if at, ok := entry["time"].(string); !ok || at == "" {
			t.Errorf("no time in %v", entry)
		}
		if took, ok := entry["duration"].(float64); !ok || took < 0 {
			t.Errorf("no duration in %v", entry)
		}
		delete(entry, "time")
		delete(entry, "duration")
		entries = append(entries, entry)
	}
	return entries
}

// startLoggingRouter returns a router with an access log, and with one replica.
func startLoggingRouter(t *testing.T, s router.Settings, h http.HandlerFunc) (*harness, *lines) {
	t.Helper()
	e, log := startRouter(t, protocol.HTTP, nil), new(lines)
	s.AccessLog = router.NewAccessLog(log)
	e.Configure(s)
	e.blue.SetVersion("1.0.0")
	e.blue.Set([]router.Backend{replica(t, "blue-1", h)})
	return e, log
}

// ask sends a GET with these headers and reads the answer.
func ask(t *testing.T, url string, header http.Header) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	req.Header, req.Host = header, "shop.example"
	res, err := newClient(t).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res, string(text)}
}

func TestAccessLogHasALineForEveryRequest(t *testing.T) {
	t.Parallel()
	e, log := startLoggingRouter(t, router.Settings{}, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "short and stout")
	})
	ask(t, e.url+"/pot%2F1?token=s3cret", http.Header{"X-Request-Id": {"r-1"}})
	e.Switch(nil)
	ask(t, e.url+"/pot", http.Header{"X-Request-Id": {"r-2"}})
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []map[string]any{
		{
			"client": "127.0.0.1", "host": "shop.example", "method": "GET", "path": "/pot%2F1", "status": 418.0,
			"bytes": 15.0, "replica": "blue-1", "environment": "blue", "version": "1.0.0", "request_id": "r-1",
		},
		{
			"client": "127.0.0.1", "host": "shop.example", "method": "GET", "path": "/pot", "status": 503.0,
			"bytes": 34.0, "replica": "", "environment": "", "version": "", "request_id": "r-2",
		},
	}
	got := log.entries(t)
	if len(got) != len(want) {
		t.Fatalf("logged are %v", got)
	}
	for i := range want {
		if !maps.Equal(got[i], want[i]) {
			t.Errorf("logged is\n%v, want\n%v", got[i], want[i])
		}
	}
}

// A client that did not wait is told from a replica that failed.
func TestAccessLogTellsWhoBrokeOff(t *testing.T) {
	t.Parallel()
	slow := newSlowHandler(t)
	e, log := startLoggingRouter(t, router.Settings{}, slow.answers("late"))
	client := newClient(t)
	ctx, cancel := context.WithCancel(t.Context())
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, e.url, http.NoBody)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if res, err := client.Do(req); err == nil {
			res.Body.Close()
			t.Error("the client got an answer")
		}
	}()
	<-slow.arrived
	cancel()
	<-done
	if err := e.blue.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := log.entries(t); len(got) != 1 || got[0]["status"] != 499.0 {
		t.Errorf("logged is %v", got)
	}
}

// Behind a trusted proxy the client is the one that the proxy names.
func TestAccessLogNamesTheClientOfATrustedProxy(t *testing.T) {
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("192.0.2.0/24")}
	for list, want := range map[string]string{
		"198.51.100.7":                         "198.51.100.7",
		"203.0.113.9, 198.51.100.7, 192.0.2.1": "198.51.100.7",
		"198.51.100.7:4711, 192.0.2.1":         "198.51.100.7",
		"nonsense, 192.0.2.1":                  "192.0.2.1",
		"nonsense":                             "127.0.0.1",
	} {
		e, log := startLoggingRouter(t, router.Settings{TrustedProxies: trusted}, answerWith(""))
		ask(t, e.url, http.Header{"X-Forwarded-For": {list}})
		if err := e.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := log.entries(t); len(got) != 1 || got[0]["client"] != want {
			t.Errorf("%s: logged is %v, want %s", list, got, want)
		}
	}
}

// A replica gets the ID that the client has given its request, or a new one.
func TestEveryRequestHasAnID(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, strings.Join(r.Header.Values("X-Request-Id"), "|"))
	})})
	if got := ask(t, e.url, http.Header{"X-Request-Id": {"6f1c-0042"}}).text; got != "6f1c-0042" {
		t.Errorf("the ID became %q", got)
	}
	isNew := regexp.MustCompile(`^[0-9a-f]{32}$`)
	for _, given := range [][]string{nil, {"a", "b"}, {strings.Repeat("a", 129)}, {"a b"}, {""}} {
		first, second := ask(t, e.url, http.Header{"X-Request-Id": given}), ask(t, e.url, http.Header{})
		if !isNew.MatchString(first.text) || first.text == second.text {
			t.Errorf("%q: the IDs are %q and %q", given, first.text, second.text)
		}
	}
}
