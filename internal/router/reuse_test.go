// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// rawBackend is a replica that calls answer for each request: the number of the connection,
// that of the request on it, and the request. What answer writes is sent as it is. The
// connection is closed when it returns false.
func rawBackend(t *testing.T, answer func(conn, n int, r *http.Request, w io.Writer) bool) router.Backend {
	t.Helper()
	return router.Backend{ID: "blue-1", Addr: serveRaw(t, func(id int, conn net.Conn) {
		requests := bufio.NewReader(conn)
		for n := 1; ; n++ {
			r, err := http.ReadRequest(requests)
			if err != nil {
				return
			}
			_, _ = io.Copy(io.Discard, r.Body)
			if !answer(id, n, r, conn) {
				return
			}
		}
	})}
}

// A service may send a body where none may be, and later than the head. Such a connection
// is not used again, because the body would be taken for the next answer.
func TestConnectionIsNotUsedAgainWhereABodyMayFollow(t *testing.T) {
	t.Parallel()
	for head, wantAgain := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":                        true,
		"HTTP/1.1 204 No Content\r\n\r\n":                                     true,
		"HTTP/1.1 304 Not Modified\r\nEtag: a\r\n\r\n":                        true,
		"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n":              false,
		"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n":                false,
		"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n":     false,
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n":   false,
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n":                        false,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nsurplus":                 false,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nextra": false,
	} {
		e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
		e.blue.Set([]router.Backend{rawBackend(t, func(conn, n int, r *http.Request, w io.Writer) bool {
			if r.URL.Path == "/first" {
				_, _ = io.WriteString(w, head)
				return true
			}
			_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n%d %d", conn, n)
			return true
		})})
		get(t, c, e.url+"/first")
		want := "2 1"
		if wantAgain {
			want = "1 2"
		}
		if got := get(t, c, e.url); got.text != want {
			t.Errorf("%q: the next request is %q, want %q", head, got.text, want)
		}
	}
}

// A replica may answer before the last write of the body has returned.
func TestConnectionIsUsedAgainAfterABody(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.blue.Set([]router.Backend{rawBackend(t, func(conn, n int, _ *http.Request, w io.Writer) bool {
		_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n%d %4d", conn, n)
		return true
	})})
	for n := range 50 {
		got, err := send(t, c, http.MethodPost, e.url, "order")
		if want := fmt.Sprintf("1 %4d", n+1); err != nil || got.text != want {
			t.Errorf("got %q, %v, want %q", got.text, err, want)
		}
	}
}

// Services that answer HEAD as if it were GET are common.
func TestConnectionIsNotUsedAgainAfterHEAD(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.blue.Set([]router.Backend{rawBackend(t, func(conn, n int, _ *http.Request, w io.Writer) bool {
		_, _ = fmt.Fprintf(w, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n")
		_, _ = fmt.Fprintf(w, "%d %d", conn, n)
		return true
	})})
	res, err := c.Head(e.url)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if got := get(t, c, e.url); got.text != "2 1" {
		t.Errorf("the next request is %q", got.text)
	}
}

// A replica may close an idle connection at the moment when a request comes on it. That
// request is sent once more, on a fresh connection, if it changes nothing.
func TestRequestIsRepeatedOnceAtMost(t *testing.T) {
	t.Parallel()
	for method, want := range map[string]int64{
		http.MethodGet: 2, http.MethodOptions: 2, http.MethodPost: 1, http.MethodDelete: 1,
	} {
		e := startRouter(t, protocol.HTTP, nil)
		var poison atomic.Int64
		e.blue.Set([]router.Backend{rawBackend(t, func(_, _ int, r *http.Request, w io.Writer) bool {
			if r.URL.Path == "/poison" {
				poison.Add(1)
				return false
			}
			_, _ = io.WriteString(w, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			return true
		})})
		leaveIdleConnections(t, e, 8)
		req, _ := http.NewRequestWithContext(t.Context(), method, e.url+"/poison", http.NoBody)
		req.Header.Set("Idempotency-Key", "1")
		res, err := newClient(t).Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if n := poison.Load(); res.StatusCode != http.StatusBadGateway || n != want {
			t.Errorf("%s: %s, and the replica got it %d times, want %d", method, res.Status, n, want)
		}
	}
}

// leaveIdleConnections makes n requests at the same time.
func leaveIdleConnections(t *testing.T, e *harness, n int) {
	t.Helper()
	conns := make([]net.Conn, n)
	for i := range conns {
		conns[i] = connect(t, e)
	}
	for _, conn := range conns {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: web\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	for _, conn := range conns {
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
	}
}
