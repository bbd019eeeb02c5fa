// SPDX-License-Identifier: MPL-2.0

package frontend_test

import (
	"bufio"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// stream is a request that is answered without an end.
const stream = "GET /stream HTTP/1.1\r\nHost: web\r\n\r\n"

// counting answers like name, and counts the requests. A stream ends only when its client goes.
func counting(requests *atomic.Int64) func(env string) http.HandlerFunc {
	return func(env string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			if r.URL.Path == "/stream" {
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
				return
			}
			name(env)(w, r)
		}
	}
}

// connectAndAsk is a client that keeps its connection and does not read the answer yet.
func (s *served) connectAndAsk() *net.TCPConn { s.Helper(); return s.connectAndSend(request) }

// openStream is a client that has something in flight until it closes the connection.
func (s *served) openStream() *net.TCPConn {
	s.Helper()
	conn := s.connectAndSend(stream)
	s.expectStream(conn)
	return conn
}

func (s *served) connectAndSend(content string) *net.TCPConn {
	s.Helper()
	conn := s.dial(s.endpoint)
	s.send(conn, content)
	return conn
}

// expectStream waits until a stream has begun.
func (s *served) expectStream(conn net.Conn) {
	s.Helper()
	if line, err := bufio.NewReader(conn).ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
		s.Errorf("the stream begins with %q, %v", line, err)
	}
}

// expectToWait fails the test if requests arrive while the clients of another deployment are
// answered.
func (s *served) expectToWait(requests *atomic.Int64) {
	s.Helper()
	other := serve(s.T, time.Minute, name)
	before := requests.Load()
	for range 20 {
		other.expect(bluegreen.Blue)
	}
	if got := requests.Load() - before; got != 0 {
		s.Errorf("%d requests of clients that must wait have arrived", got)
	}
}

// Clients beyond the limit wait, and are served when another one leaves, or with a higher limit.
func TestClientsBeyondTheLimitWait(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	s := serve(t, time.Minute, counting(&requests))
	s.change(store.Frontend{DrainTimeout: time.Minute, MaxConnections: 1})
	first := s.openStream()
	second, third := s.connectAndSend(stream), s.connectAndAsk()
	s.expectToWait(&requests)
	first.Close()
	s.expectStream(second)
	s.expectToWait(&requests)
	s.change(store.Frontend{DrainTimeout: time.Minute, MaxConnections: 2})
	s.expectAnswer(third, http.StatusOK, "blue")
}

// A client that keeps its connection without a request gives way to one that waits.
func TestIdleClientGivesWay(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, name)
	s.change(store.Frontend{DrainTimeout: time.Minute, MaxConnections: 1})
	for range 2 {
		idle := s.connectAndAsk()
		s.expectAnswer(idle, http.StatusOK, "blue")
		waiting := s.connectAndAsk()
		s.expectAnswer(waiting, http.StatusOK, "blue")
		s.expectClosed(idle)
		waiting.Close()
	}
}

// A client that waits when the frontend retires is served once there is room.
func TestWaitingClientIsServedBeforeTheEnd(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	s := serve(t, time.Minute, counting(&requests))
	s.change(store.Frontend{DrainTimeout: time.Minute, MaxConnections: 1})
	first := s.openStream()
	waiting := s.connectAndAsk()
	s.expectToWait(&requests)
	retired := make(chan struct{})
	go func() {
		defer close(retired)
		s.Leave(t.Context(), time.Minute)
	}()
	s.awaitNotListening()
	first.Close()
	s.expectAnswer(waiting, http.StatusOK, "blue")
	<-retired
}

// Every client that leaves makes room for another, however it leaves.
func TestClientsThatLeaveMakeRoom(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, name)
	front := behindProxies("", "127.0.0.1/32")
	front.MaxConnections = 1
	s.change(front)
	for range 5 {
		silent := s.dial(s.endpoint)
		silent.Close()
		liar := s.dial(s.endpoint)
		s.send(liar, request)
		s.expectClosed(liar)
		polite := s.dial(s.endpoint)
		s.send(polite, introduction(t, 2)+request)
		s.expectAnswer(polite, http.StatusOK, "blue")
		polite.Close()
	}
}

// A flood of clients of one deployment leaves room for those of another one.
func TestFloodLeavesRoomForOtherDeployments(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	// They are enough for six clients.
	descriptors := frontend.NewDescriptors(12)
	flooded := serveWith(t, descriptors, time.Minute, counting(&requests))
	other := serveWith(t, descriptors, time.Minute, name)
	var clients []*net.TCPConn
	for range 10 {
		clients = append(clients, flooded.connectAndSend(stream))
	}
	for _, client := range clients[:3] {
		flooded.expectStream(client)
	}
	flooded.expectToWait(&requests)
	for range 2 {
		client := other.connectAndAsk()
		other.expectAnswer(client, http.StatusOK, "blue")
		defer client.Close()
	}
	// Two of three leave, and one comes: now the other deployment has its part.
	clients[0].Close()
	clients[1].Close()
	flooded.expectStream(clients[3])
}

// A client that was admitted is answered, also over HTTP/2 and if there is room for nothing else.
func TestAdmittedClientOfHTTP2IsAnswered(t *testing.T) {
	t.Parallel()
	// They are enough for one client, which then uses as many as are free.
	s := serveWith(t, frontend.NewDescriptors(4), time.Minute, name)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}, Timeout: time.Minute}
	defer client.CloseIdleConnections()
	visit := func() error {
		response, err := client.Get(s.endpoint)
		if err == nil {
			err = response.Body.Close()
		}
		return err
	}
	if err := visit(); err != nil {
		t.Fatal(err)
	}
	// The others come over the same connection, and are answered one after the other.
	answered := make(chan error, 20)
	for range cap(answered) {
		go func() { answered <- visit() }()
	}
	for range cap(answered) {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
}

// A client that sends many requests at a time over one connection of HTTP/2 gets no more than
// its part either. All are answered in the end.
func TestFloodOverHTTP2LeavesRoomForOtherDeployments(t *testing.T) {
	t.Parallel()
	arrived, release := make(chan struct{}, 20), make(chan struct{})
	descriptors := frontend.NewDescriptors(12)
	flooded := serveWith(t, descriptors, time.Minute, func(string) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) {
			arrived <- struct{}{}
			<-release
		}
	})
	other := serveWith(t, descriptors, time.Minute, name)
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	defer client.CloseIdleConnections()
	answered := make(chan error, 20)
	for range cap(answered) {
		go func() {
			response, err := client.Get(flooded.endpoint)
			if err == nil {
				err = response.Body.Close()
			}
			answered <- err
		}()
	}
	// The client takes two descriptors, with which one is asked, and the others take four: then
	// as many are free.
	for range 5 {
		<-arrived
	}
	other.expect(bluegreen.Blue)
	if len(arrived) > 0 {
		t.Errorf("%d more requests are in flight", len(arrived))
	}
	close(release)
	for range cap(answered) {
		if err := <-answered; err != nil {
			t.Error(err)
		}
	}
}

// A client that waits for room does not hold up a shutdown beyond the drain timeout.
func TestShutdownDoesNotWaitForAClientThatWaits(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{}, 1)
	s := serve(t, time.Minute, func(string) http.HandlerFunc {
		return func(_ http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			<-r.Context().Done()
		}
	})
	s.change(store.Frontend{DrainTimeout: time.Millisecond, MaxConnections: 1})
	first := s.connectAndAsk()
	<-arrived
	second := s.connectAndAsk()
	defer first.Close()
	defer second.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		s.Leave(t.Context(), 0)
	}()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		t.Error("the shutdown has not ended")
	}
}
