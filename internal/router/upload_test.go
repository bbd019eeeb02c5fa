// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// A client that breaks off in its body must not get an answer that looks like a good one,
// and the replica is not blamed.
func TestClientThatBreaksOffItsBodyGetsNoAnswer(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	e := startRouter(t, protocol.HTTP, metrics(t, registry, "web"))
	e.blue.OnFailure(func(_ router.Backend, _ int, cause error) { t.Errorf("the replica is blamed: %v", cause) })
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
	})})
	conn := connect(t, e)
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nhalf"); err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if got, _ := io.ReadAll(conn); len(got) > 0 {
		t.Errorf("the client got %q", got)
	}
	if n := nonzero(t, registry)["failures_total web blue canceled"]; n != 1 {
		t.Errorf("%v requests are counted as canceled", n)
	}
}

// A replica that hangs up in the middle of an upload is blamed, and its client is told.
func TestReplicaThatFailsDuringAnUploadIsBlamed(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	e, log := startRouter(t, protocol.HTTP, metrics(t, registry, "web")), new(lines)
	e.Configure(router.Settings{AccessLog: router.NewAccessLog(log)})
	reported := make(chan error, 8)
	e.blue.OnFailure(func(_ router.Backend, _ int, cause error) { reported <- cause })
	e.blue.Set([]router.Backend{{ID: "blue-1", Addr: serveRaw(t, func(_ int, replica net.Conn) {
		r, err := http.ReadRequest(bufio.NewReader(replica))
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.ReadFull(r.Body, make([]byte, 5))
	})}})
	conn := connect(t, e)
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: web\r\nContent-Length: 10\r\n\r\nhello"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusBadGateway {
		t.Errorf("the client got %s", res.Status)
	}
	if err := e.blue.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := nonzero(t, registry)["failures_total web blue upstream"]; n != 1 || len(reported) != 1 {
		t.Errorf("%v failures of the replica are counted, %d reported", n, len(reported))
	}
	if got := log.entries(t); len(got) != 1 || got[0]["status"] != 502.0 {
		t.Errorf("logged is %v", got)
	}
}

// What a client writes wrongly while its answer comes in is not the replica's failure.
func TestMalformedBodyAfterTheHeadOfTheAnswer(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	e := startRouter(t, protocol.HTTP, metrics(t, registry, "web"))
	e.blue.OnFailure(func(_ router.Backend, _ int, cause error) { t.Errorf("the replica is blamed: %v", cause) })
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
		control := http.NewResponseController(w)
		_ = control.EnableFullDuplex()
		_ = control.Flush()
		_, _ = io.Copy(io.Discard, r.Body)
	})})
	conn := connect(t, e)
	const head = "POST / HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
	if _, err := io.WriteString(conn, head); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if _, err := io.WriteString(conn, "zz\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(res.Body); err == nil {
		t.Error("the answer ended as if it were whole")
	}
	if err := e.blue.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := nonzero(t, registry)["failures_total web blue client"]; n != 1 {
		t.Errorf("%v requests are counted as the client's failure", n)
	}
}

// An answer that comes before the end of the request closes the connection of a client with
// HTTP/1.1, since the rest of its body may follow. With HTTP/2 other requests share it.
func TestEarlyAnswerClosesOnlyWhatItMust(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		w.WriteHeader(http.StatusUnauthorized)
	})})
	for wantReuse, c := range map[bool]*http.Client{false: newClient(t), true: newH2CClient(t)} {
		body, sender := io.Pipe()
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url, body)
		res, err := c.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, res.Body); err != nil || res.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s, %v", res.Status, err)
		}
		_ = res.Body.Close()
		_ = sender.Close()
		isReused := false
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{
			GotConn: func(i httptrace.GotConnInfo) { isReused = i.Reused },
		})
		req, _ = http.NewRequestWithContext(ctx, http.MethodGet, e.url, http.NoBody)
		if res, err = c.Do(req); err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if isReused != wantReuse {
			t.Errorf("%s: the connection is used again: %v, want %v", res.Proto, isReused, wantReuse)
		}
	}
}

// The limit to the last write of a body ends with the upload. The connection may be used again
// much later.
func TestLimitToTheLastWriteDoesNotStay(t *testing.T) {
	t.Parallel()
	l := listen(t)
	defer l.Close()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	router.StopLastWrite(conn.(*net.TCPConn)) //nolint:forcetypeassert // what "tcp" is documented to return
	<-time.After(2 * router.LastWriteTimeout)
	if _, err := io.WriteString(conn, "the next request"); err != nil {
		t.Error(err)
	}
}
