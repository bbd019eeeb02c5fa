// SPDX-License-Identifier: MPL-2.0

//go:build unix

package router_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// silentClient is one connection to a router that parks silent clients.
type silentClient struct {
	*testing.T
	net.Conn

	router  *router.Router
	answers *bufio.Reader
	// isCrowded says that other clients wait.
	isCrowded atomic.Bool
}

func startSilentClient(t *testing.T) *silentClient {
	t.Helper()
	return startSilentClientFor(t, time.Millisecond)
}

// startSilentClientFor is startSilentClient with the time until a client is parked.
func startSilentClientFor(t *testing.T, parkAfter time.Duration) *silentClient {
	t.Helper()
	l, pool := listen(t), router.NewPool(bluegreen.Blue, nil)
	pool.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, r.Method+" "+r.URL.Path+" "+string(body))
	})})
	c := &silentClient{T: t}
	c.router = router.New("live", protocol.HTTP, router.Options{IsCrowded: c.isCrowded.Load})
	c.router.ParkAfter(parkAfter)
	c.router.Switch(pool)
	served := make(chan error, 1)
	go func() { served <- c.router.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	c.Conn, c.answers = conn, bufio.NewReader(conn)
	t.Cleanup(func() {
		conn.Close()
		if err := c.router.Shutdown(context.Background()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		pool.Close()
	})
	return c
}

// send writes a request or a part of one.
func (c *silentClient) send(text string) {
	c.Helper()
	if _, err := io.WriteString(c.Conn, text); err != nil {
		c.Fatal(err)
	}
}

// expect reads an answer, and reports whether it asks the client to go.
func (c *silentClient) expect(want string) (isLast bool) {
	c.Helper()
	res, err := http.ReadResponse(c.answers, nil)
	if err != nil {
		c.Fatal(err)
	}
	defer res.Body.Close()
	if text, err := io.ReadAll(res.Body); err != nil || string(text) != want {
		c.Fatalf("the answer is %q, %v, want %q", text, err, want)
	}
	return res.Close
}

// awaitParked returns when the connection is parked.
func (c *silentClient) awaitParked() {
	c.Helper()
	for c.router.Parked() == 0 {
		if c.Context().Err() != nil {
			c.Fatal("the connection was not parked")
		}
		runtime.Gosched()
	}
}

// expectEnd waits until the router has closed the connection.
func (c *silentClient) expectEnd() {
	c.Helper()
	if b, err := c.answers.ReadByte(); !errors.Is(err, io.EOF) {
		c.Errorf("read %q, %v", b, err)
	}
	for c.router.Connections() != 0 {
		if c.Context().Err() != nil {
			c.Fatal("the connection is still counted")
		}
		runtime.Gosched()
	}
}

const plainRequest = "GET /one HTTP/1.1\r\nHost: web\r\n\r\n"

// While others wait, a client is asked to go with its next answer, but not before.
func TestClientIsAskedToGoWhileOthersWait(t *testing.T) {
	t.Parallel()
	c := startSilentClientFor(t, time.Minute)
	c.send(plainRequest)
	if isLast := c.expect("GET /one "); isLast {
		t.Error("the client is asked to go while nobody waits")
	}
	c.isCrowded.Store(true)
	c.send(plainRequest)
	if isLast := c.expect("GET /one "); !isLast {
		t.Error("the client is not asked to go")
	}
	c.expectEnd()
}

// A client that is silent already is disconnected if others wait.
func TestSilentClientGivesWay(t *testing.T) {
	t.Parallel()
	c := startSilentClient(t)
	// Nobody is silent yet.
	c.router.CloseSilent()
	c.send(plainRequest)
	c.expect("GET /one ")
	c.awaitParked()
	c.router.CloseSilent()
	c.expectEnd()
}

// A client that falls silent while others wait is disconnected instead of parked.
func TestClientIsNotParkedWhileOthersWait(t *testing.T) {
	t.Parallel()
	c := startSilentClientFor(t, time.Second)
	c.send(plainRequest)
	if isLast := c.expect("GET /one "); isLast {
		t.Error("the client is asked to go while nobody waits")
	}
	c.isCrowded.Store(true)
	c.expectEnd()
}

// A client does not notice that its connection is parked between two requests.
func TestSilentClientIsServedAgain(t *testing.T) {
	t.Parallel()
	c := startSilentClient(t)
	for range 20 {
		c.send("GET /one HTTP/1.1\r\nHost: web\r\n\r\n")
		c.expect("GET /one ")
		c.awaitParked()
		c.send("POST /two HTTP/1.1\r\nHost: web\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
		c.expect("POST /two abc")
		c.awaitParked()
		if n := c.router.Connections(); n != 1 {
			t.Errorf("%d clients are connected", n)
		}
	}
}

// A connection is not parked while the server has bytes of the next request.
func TestClientThatHasBegunIsNotParked(t *testing.T) {
	t.Parallel()
	c := startSilentClient(t)
	// The beginning of the second request comes with the end of the first.
	c.send("GET /one HTTP/1.1\r\nHost: web\r\n\r\nGE")
	c.expect("GET /one ")
	parked := time.After(20 * time.Millisecond)
	for waiting := true; waiting; {
		select {
		case <-parked:
			waiting = false
		default:
			if c.router.Parked() > 0 {
				t.Fatal("the connection was parked with a part of a request")
			}
			runtime.Gosched()
		}
	}
	c.send("T /two HTTP/1.1\r\nHost: web\r\n\r\n")
	c.expect("GET /two ")
	// The end of a body looks like nothing in particular.
	c.send("POST /three HTTP/1.1\r\nHost: web\r\nContent-Length: 3\r\n\r\nabcG")
	c.expect("POST /three abc")
	c.send("ET /four HTTP/1.1\r\nHost: web\r\n\r\n")
	c.expect("GET /four ")
	// The beginning comes when the connection may be parked already.
	c.awaitParked()
	c.send("G")
	c.send("ET /five HTTP/1.1\r\nHost: web\r\n\r\n")
	c.expect("GET /five ")
}

func TestParkedClientThatGoesIsForgotten(t *testing.T) {
	t.Parallel()
	c := startSilentClient(t)
	c.send("GET /one HTTP/1.1\r\nHost: web\r\n\r\n")
	c.expect("GET /one ")
	c.awaitParked()
	c.Close()
	if err := c.router.Retire(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := c.router.Connections(); n != 0 {
		t.Errorf("%d clients are connected", n)
	}
}

// A parked client is asked to go with the answer to its next request, like any other.
func TestRetiredRouterAsksParkedClientsToGo(t *testing.T) {
	t.Parallel()
	c := startSilentClient(t)
	c.send("GET /one HTTP/1.1\r\nHost: web\r\n\r\n")
	c.expect("GET /one ")
	c.awaitParked()
	over := errors.New("no time left")
	if err := c.router.Retire(endedContext(t, over)); !errors.Is(err, over) {
		t.Fatalf("a client is connected: %v", err)
	}
	c.send("GET /two HTTP/1.1\r\nHost: web\r\n\r\n")
	if isLast := c.expect("GET /two "); !isLast {
		t.Error("the client was not asked to go")
	}
	if err := c.router.Retire(t.Context()); err != nil {
		t.Errorf("the client has not gone: %v", err)
	}
}

func TestShutdownClosesParkedConnections(t *testing.T) {
	t.Parallel()
	c := startSilentClient(t)
	c.send("GET /one HTTP/1.1\r\nHost: web\r\n\r\n")
	c.expect("GET /one ")
	c.awaitParked()
	if err := c.router.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.answers.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("the connection is open: %v", err)
	}
}
