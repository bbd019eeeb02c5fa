// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// echo is a WebSocket service that sends back what it gets.
func echo(w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return
	}
	defer func() { _ = conn.CloseNow() }()
	for {
		kind, message, err := conn.Read(r.Context())
		if err != nil {
			return
		}
		if err := conn.Write(r.Context(), kind, message); err != nil {
			return
		}
	}
}

func dialWebSocket(t *testing.T, e *harness) *websocket.Conn {
	t.Helper()
	conn, res, err := websocket.Dial(t.Context(), e.url, &websocket.DialOptions{HTTPClient: newClient(t)})
	if err != nil {
		t.Fatal(err)
	}
	if res.Body != nil {
		_ = res.Body.Close()
	}
	t.Cleanup(func() { _ = conn.CloseNow() })
	return conn
}

func roundTrip(conn *websocket.Conn, message string) error {
	if err := conn.Write(context.Background(), websocket.MessageText, []byte(message)); err != nil {
		return err
	}
	_, got, err := conn.Read(context.Background())
	if err == nil && string(got) != message {
		err = errors.New("the echo was " + string(got))
	}
	return err
}

func TestWebSocketSurvivesTheSwitchUntilItIsCut(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	e.blue.Set([]router.Backend{replica(t, "blue-1", echo)})
	e.green.Set([]router.Backend{replica(t, "green-1", answerWith("2.0.0"))})

	conn := dialWebSocket(t, e)
	old := e.Switch(e.green)
	if err := roundTrip(conn, "still here"); err != nil {
		t.Fatalf("after the switch: %v", err)
	}
	if n := old.InFlight(); n != 1 {
		t.Errorf("%d in flight, want the WebSocket", n)
	}

	if n := old.CloseConnections(); n != 1 {
		t.Errorf("%d connections cut, want 1", n)
	}
	if err := old.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := roundTrip(conn, "hello?"); err == nil {
		t.Error("the WebSocket is still open")
	}
	if got := get(t, c, e.url).text; got != "2.0.0" {
		t.Errorf("the live environment answers %q", got)
	}
}

func TestCutRequestIsNotSentAgain(t *testing.T) {
	t.Parallel()
	e, c, slow := startRouter(t, protocol.HTTP, nil), newClient(t), newSlowHandler(t)
	answerSlowly := slow.answers("late")
	b := replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			answerSlowly(w, r)
		}
	})
	e.blue.Set([]router.Backend{b})
	// The connection to the replica is one that was used before: net/http sends
	// a GET again when such a one breaks.
	get(t, c, e.url)
	cut := getInBackground(t, c, e.url+"/slow")
	<-slow.arrived

	if n := e.blue.CloseConnections(); n != 1 {
		t.Errorf("%d cut, want 1", n)
	}
	if got := <-cut; got.Response == nil || got.StatusCode != http.StatusBadGateway {
		t.Errorf("the request that was cut got %q", got.text)
	}
	if len(slow.arrived) != 0 {
		t.Error("the request reached the replica twice")
	}
	if n := e.blue.InFlight(); n != 0 {
		t.Errorf("%d in flight after the cut", n)
	}
	if got := get(t, c, e.url); got.StatusCode != http.StatusOK {
		t.Errorf("the pool is of no use after the cut: %s", got.Status)
	}
}

func TestStreamIsPassedOnAtOnceAndBreaksOffWhenCut(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{
		"events":          {"Content-Type": {"text/event-stream"}},
		"unknown length":  {},
		"declared length": {"Content-Length": {"1000"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
			next := make(chan string)
			e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
				for name, values := range header {
					w.Header()[name] = values
				}
				for {
					select {
					case line := <-next:
						_, _ = w.Write([]byte(line + "\n"))
						_ = http.NewResponseController(w).Flush()
					case <-r.Context().Done():
						return
					}
				}
			})})

			req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, e.url, http.NoBody)
			go func() { next <- "one" }()
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			lines := bufio.NewReader(res.Body)
			for _, want := range []string{"one", "two", "three"} {
				if want != "one" {
					next <- want
				}
				if got, err := lines.ReadString('\n'); err != nil || strings.TrimSpace(got) != want {
					t.Fatalf("got %q and %v, want %q", got, err, want)
				}
			}
			e.Switch(e.green)
			e.blue.CloseConnections()
			if _, err := lines.ReadString('\n'); err == nil {
				t.Error("the stream goes on after the cut")
			}
		})
	}
}

func TestRemovedReplicaFinishesWhatItHas(t *testing.T) {
	t.Parallel()
	e, c, slow := startRouter(t, protocol.HTTP, nil), newClient(t), newSlowHandler(t)
	leaving := replica(t, "blue-2", slow.answers("from blue-2"))
	e.blue.Set([]router.Backend{leaving})
	last := getInBackground(t, c, e.url)
	<-slow.arrived

	e.blue.Set([]router.Backend{replica(t, "blue-1", answerWith("from blue-1"))})
	// The removed replica is remembered through later changes too.
	e.blue.Set([]router.Backend{replica(t, "blue-1", answerWith("from blue-1"))})
	for range 4 {
		if got := get(t, c, e.url).text; got != "from blue-1" {
			t.Errorf("a new request got %q", got)
		}
	}
	if n := e.blue.BackendInFlight("blue-2"); n != 1 {
		t.Errorf("%d in flight on the removed replica, want 1", n)
	}
	timeout := errors.New("drain timeout is over")
	if err := e.blue.WaitBackendIdle(endedContext(t, timeout), "blue-2"); !errors.Is(err, timeout) {
		t.Errorf("waiting for the busy replica ended with %v", err)
	}
	close(slow.release)
	if err := e.blue.WaitBackendIdle(t.Context(), "blue-2"); err != nil {
		t.Fatal(err)
	}
	if got := (<-last).text; got != "from blue-2" {
		t.Errorf("the request in flight got %q", got)
	}
	if n := e.blue.BackendInFlight("blue-2"); n != 0 {
		t.Errorf("%d in flight on the idle replica", n)
	}
}

// startSlowRequest returns a router with a request in flight, and its future answer.
func startSlowRequest(t *testing.T) (*harness, *slowHandler, <-chan answer) {
	t.Helper()
	e, slow := startRouter(t, protocol.HTTP, nil), newSlowHandler(t)
	e.blue.Set([]router.Backend{replica(t, "blue-1", slow.answers("done"))})
	last := getInBackground(t, newClient(t), e.url)
	<-slow.arrived
	return e, slow, last
}

func TestShutdownFinishesWhatIsInFlight(t *testing.T) {
	t.Parallel()
	e, slow, last := startSlowRequest(t)
	down := make(chan error, 1)
	go func() { down <- e.Shutdown(t.Context()) }()
	close(slow.release)
	if got := (<-last).text; got != "done" {
		t.Errorf("the request in flight got %q", got)
	}
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// A client has connected just before the shutdown begins, and asks just after.
func TestShutdownAnswersTheFirstRequestOfAClient(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	e.blue.Set([]router.Backend{replica(t, "blue-1", answerWith("hello"))})
	conn := connect(t, e)
	for e.Connections() == 0 {
		runtime.Gosched()
	}
	down := make(chan error, 1)
	go func() { down <- e.Shutdown(t.Context()) }()
	e.awaitClosedDoor(t)
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: web\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatalf("the client got no answer: %v", err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || string(body) != "hello" || !answer.Close {
		t.Errorf("the client got %q (the connection ends: %v): %v", body, answer.Close, err)
	}
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

func TestShutdownReportsWhyItCutARequest(t *testing.T) {
	t.Parallel()
	e, _, last := startSlowRequest(t)
	timeout := errors.New("grace time is over")
	if err := e.Shutdown(endedContext(t, timeout)); !errors.Is(err, timeout) {
		t.Errorf("shutdown with a request in flight: %v", err)
	}
	if got := <-last; got.Response != nil {
		t.Errorf("the request that was cut got %q", got.text)
	}
}

func TestShutdownWaitsForWebSockets(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	e.blue.Set([]router.Backend{replica(t, "blue-1", echo)})
	conn := dialWebSocket(t, e)
	down := make(chan error, 1)
	go func() { down <- e.Shutdown(t.Context()) }()
	e.awaitClosedDoor(t)
	for range 100 {
		if err := roundTrip(conn, "still here"); err != nil {
			t.Fatalf("during the shutdown: %v", err)
		}
	}
	if len(down) > 0 {
		t.Fatal("the shutdown did not wait")
	}
	_ = conn.CloseNow()
	if err := <-down; err != nil {
		t.Errorf("shutdown: %v", err)
	}
}

// Clients close their connections themselves, so that no request is lost.
func TestRetiredRouterAsksItsClientsToGo(t *testing.T) {
	t.Parallel()
	protocols := map[string]*http.Protocols{"HTTP/1.1": new(http.Protocols), "HTTP/2": new(http.Protocols)}
	protocols["HTTP/1.1"].SetHTTP1(true)
	protocols["HTTP/2"].SetUnencryptedHTTP2(true)
	for name, spoken := range protocols {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, c := startRouter(t, protocol.HTTP, nil), &http.Client{Transport: &http.Transport{Protocols: spoken}}
			e.blue.Set([]router.Backend{replica(t, "blue-1", answerWith("1.0.0"))})
			get(t, c, e.url)
			over := errors.New("no time left")
			if err := e.Retire(endedContext(t, over)); !errors.Is(err, over) {
				t.Fatalf("a client is connected: %v", err)
			}
			// This uses the existing connection: the listener is closed.
			if a := get(t, c, e.url); a.text != "1.0.0" {
				t.Errorf("the last answer is %q", a.text)
			}
			if err := e.Retire(t.Context()); err != nil {
				t.Errorf("the client has not gone: %v", err)
			}
			if _, err := send(t, c, http.MethodGet, e.url, ""); err == nil {
				t.Error("a new client was accepted")
			}
		})
	}
}

func TestShutdownClosesWebSocketsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	e.blue.Set([]router.Backend{replica(t, "blue-1", echo)})
	conn := dialWebSocket(t, e)
	if err := roundTrip(conn, "hello"); err != nil {
		t.Fatal(err)
	}
	over := errors.New("grace time is over")
	if err := e.Shutdown(endedContext(t, over)); !errors.Is(err, over) {
		t.Errorf("shutdown with a WebSocket open: %v", err)
	}
	if err := roundTrip(conn, "hello?"); err == nil {
		t.Error("the WebSocket is still open")
	}
	if err := e.blue.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
}
