// SPDX-License-Identifier: MPL-2.0

package frontend_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pires/go-proxyproto"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// behindProxies is a frontend that speaks the PROXY protocol with these networks.
func behindProxies(speaks protocol.Protocol, networks ...string) store.Frontend {
	front := store.Frontend{Protocol: speaks, DrainTimeout: time.Minute, ProxyProtocol: true}
	for _, network := range networks {
		front.TrustedProxies = append(front.TrustedProxies, netip.MustParsePrefix(network))
	}
	return front
}

// change applies other settings.
func (s *served) change(next store.Frontend) {
	s.Helper()
	change, err := s.Prepare(next)
	if err != nil {
		s.Fatal(err)
	}
	s.Apply(change, liveOn(bluegreen.Blue), s.replicas)
	s.endpoint, s.preview = "http://"+change.Addresses[0], "http://"+change.PreviewAddress
}

// tellClient answers with the client's address, as a replica learns it.
func tellClient(string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Header.Get("X-Forwarded-For"))
	}
}

const request = "GET / HTTP/1.1\r\nHost: web\r\n\r\n"

// introduction is a header of the PROXY protocol for a client at 203.0.113.7.
func introduction(t *testing.T, version byte) string {
	t.Helper()
	client := &net.TCPAddr{IP: net.ParseIP("203.0.113.7"), Port: 4711}
	server := &net.TCPAddr{IP: net.ParseIP("198.51.100.1"), Port: 80}
	content, err := proxyproto.HeaderProxyFromAddrs(version, client, server).Format()
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}

// dial connects to a URL of the frontend.
func (s *served) dial(endpoint string) *net.TCPConn {
	s.Helper()
	address := endpoint[strings.LastIndex(endpoint, "/")+1:]
	conn, err := net.Dial("tcp", address)
	if err != nil {
		s.Fatal(err)
	}
	s.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		s.Fatal(err)
	}
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		s.Fatalf("a TCP connection is a %T", conn)
	}
	return tcp
}

func (s *served) send(conn net.Conn, content string) {
	s.Helper()
	if _, err := io.WriteString(conn, content); err != nil {
		s.Fatal(err)
	}
}

// expectAnswer reads an answer from conn.
func (s *served) expectAnswer(conn net.Conn, status int, body string) {
	s.Helper()
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		s.Fatal(err)
	}
	defer response.Body.Close()
	got, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != status || (status == http.StatusOK && string(got) != body) {
		s.Errorf("the answer is %s %q, %v", response.Status, got, err)
	}
}

// expectClosed fails the test if anything comes from conn, or nothing happens.
func (s *served) expectClosed(conn net.Conn) {
	s.Helper()
	var isTimeout net.Error
	n, err := conn.Read(make([]byte, 1))
	if n > 0 || err == nil || (errors.As(err, &isTimeout) && isTimeout.Timeout()) {
		s.Errorf("read %d bytes, %v", n, err)
	}
}

func TestProxyNamesItsClient(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, tellClient)
	s.change(behindProxies(protocol.HTTP, "10.0.0.0/8", "127.0.0.0/8"))
	for _, version := range []byte{1, 2} {
		conn := s.dial(s.endpoint)
		s.send(conn, introduction(t, version)+request)
		s.expectAnswer(conn, http.StatusOK, "203.0.113.7")
		// The header is for all requests of the connection.
		s.send(conn, request)
		s.expectAnswer(conn, http.StatusOK, "203.0.113.7")
	}
	// What a proxy asks for itself, such as its health check, comes from the proxy.
	conn := s.dial(s.endpoint)
	s.send(conn, "\r\n\r\n\x00\r\nQUIT\n\x20\x00\x00\x00"+request)
	s.expectAnswer(conn, http.StatusOK, "127.0.0.1")
}

func TestNobodyElseNamesAClient(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, tellClient)
	s.change(behindProxies(protocol.HTTP, "10.0.0.0/8"))
	conn := s.dial(s.endpoint)
	s.send(conn, request)
	s.expectAnswer(conn, http.StatusOK, "127.0.0.1")
	conn = s.dial(s.endpoint)
	s.send(conn, introduction(t, 1)+request)
	s.expectAnswer(conn, http.StatusBadRequest, "")
}

// A proxy that does not send the header would pass for the client. On the preview it may be
// somebody on the same machine.
func TestProxyMustNameItsClient(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, tellClient)
	s.change(behindProxies(protocol.HTTP, "127.0.0.1/32"))
	conn := s.dial(s.endpoint)
	s.send(conn, request)
	s.expectClosed(conn)
	conn = s.dial(s.preview)
	s.send(conn, request)
	s.expectAnswer(conn, http.StatusServiceUnavailable, "")
}

// A proxy that says nothing holds up nobody, and not for ever.
func TestSilentProxyHoldsUpNobody(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, tellClient)
	s.change(behindProxies(protocol.HTTP, "127.0.0.1/32"))
	begin, silent := time.Now(), s.dial(s.endpoint)
	conn := s.dial(s.endpoint)
	s.send(conn, introduction(t, 2)+request)
	s.expectAnswer(conn, http.StatusOK, "203.0.113.7")
	s.expectClosed(silent)
	if took := time.Since(begin); took < 3*time.Second || took > 30*time.Second {
		t.Errorf("the header was waited for for %s", took)
	}
}

// The protocol is spoken from the next connection on. Those that are open stay.
func TestProxyProtocolBeginsWithTheNextConnection(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, tellClient)
	before := s.dial(s.endpoint)
	s.send(before, request)
	s.expectAnswer(before, http.StatusOK, "127.0.0.1")
	s.change(behindProxies(protocol.HTTP, "127.0.0.1/32"))
	s.send(before, request)
	s.expectAnswer(before, http.StatusOK, "127.0.0.1")
	conn := s.dial(s.endpoint)
	s.send(conn, introduction(t, 1)+request)
	s.expectAnswer(conn, http.StatusOK, "203.0.113.7")
}

// A client whose header is still to come when the frontend retires is served before it ends.
func TestRetireWaitsForClientsThatAreNotNamedYet(t *testing.T) {
	t.Parallel()
	s := serve(t, time.Minute, tellClient)
	s.change(behindProxies(protocol.HTTP, "127.0.0.1/32"))
	late := s.dial(s.endpoint)
	// An answered client says that the one before it has been accepted.
	conn := s.dial(s.endpoint)
	s.send(conn, introduction(t, 1)+request)
	s.expectAnswer(conn, http.StatusOK, "203.0.113.7")
	conn.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	retired := make(chan struct{})
	go func() {
		defer close(retired)
		s.Leave(ctx, time.Minute)
	}()
	s.awaitNotListening()
	select {
	case <-retired:
		t.Error("it has retired before the client's request")
	default:
	}
	s.send(late, introduction(t, 1)+request)
	s.expectAnswer(late, http.StatusOK, "203.0.113.7")
	<-retired
}

// awaitNotListening waits until nobody can connect any more.
func (s *served) awaitNotListening() {
	s.Helper()
	for {
		conn, err := net.Dial("tcp", strings.TrimPrefix(s.endpoint, "http://"))
		if err != nil {
			return
		}
		conn.Close()
	}
}

// A TCP client can end what it sends and still receive the answer, behind a proxy as well. What
// it sends together with the header arrives. Without descriptors for the kernel to copy with, the
// agent copies.
func TestHalfClose(t *testing.T) {
	t.Parallel()
	for copies, descriptors := range map[string]int{"the kernel copies": 100, "the agent copies": 4} {
		for version, preamble := range map[string]string{
			"no header": "", "version 1": introduction(t, 1), "version 2": introduction(t, 2),
		} {
			t.Run(copies+"/"+version, func(t *testing.T) {
				t.Parallel()
				s := serveWith(t, frontend.NewDescriptors(descriptors), time.Minute, name)
				s.replicas[bluegreen.Blue] = []frontend.Replica{echoReplica(t)}
				front := behindProxies(protocol.TCP, "127.0.0.1/32")
				front.ProxyProtocol = preamble != ""
				s.change(front)
				sent := bytes.Repeat([]byte("a story "), 1<<17)
				conn := s.dial(s.endpoint)
				s.send(conn, preamble+string(sent))
				if err := conn.CloseWrite(); err != nil {
					t.Fatal(err)
				}
				if received, err := io.ReadAll(conn); err != nil || !bytes.Equal(received, sent) {
					t.Errorf("%d of %d bytes came back: %v", len(received), len(sent), err)
				}
			})
		}
	}
}

// echoReplica is a replica of blue that sends back what it gets once that has ended.
func echoReplica(t *testing.T) frontend.Replica {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			if received, err := io.ReadAll(conn); err == nil {
				_, _ = conn.Write(received)
			}
			conn.Close()
		}
	}()
	return frontend.Replica{
		Backend: router.Backend{ID: "blue-1", Addr: listener.Addr().String()},
		Ref:     bluegreen.InstanceRef{ID: "blue-1"},
	}
}
