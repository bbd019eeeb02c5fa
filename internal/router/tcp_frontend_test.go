// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"errors"
	"io"
	"net"
	"slices"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// tcpReplica sends its ID, reads until the client closes, and only then answers.
func tcpReplica(t *testing.T, id string) router.Backend {
	t.Helper()
	return router.Backend{ID: id, Addr: serveRaw(t, func(_ int, conn net.Conn) {
		_, _ = io.WriteString(conn, id)
		if received, err := io.ReadAll(conn); err == nil {
			_, _ = io.WriteString(conn, " received "+string(received))
		}
	})}
}

func readGreeting(t *testing.T, conn net.Conn) string {
	t.Helper()
	b := make([]byte, len("green-1"))
	n, err := io.ReadAtLeast(conn, b, len("blue-1"))
	if err != nil {
		t.Fatalf("no greeting: %v", err)
	}
	return string(b[:n])
}

func TestTCPConnectionKeepsItsEnvironmentAndItsHalfClose(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.TCP, nil)
	e.blue.Set([]router.Backend{refusingReplica(t, "blue-0"), tcpReplica(t, "blue-1")})
	e.green.Set([]router.Backend{tcpReplica(t, "green-1")})

	first := connect(t, e)
	if got := readGreeting(t, first); got != "blue-1" {
		t.Errorf("%s greets before the switch", got)
	}
	old := e.Switch(e.green)
	if got := readGreeting(t, connect(t, e)); got != "green-1" {
		t.Errorf("%s greets after the switch", got)
	}
	if n := old.InFlight(); n != 1 {
		t.Errorf("%d in flight on blue, want 1", n)
	}

	if _, err := io.WriteString(first, "everything"); err != nil {
		t.Fatal(err)
	}
	if err := first.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(first); err != nil || string(rest) != " received everything" {
		t.Errorf("got %q, %v", rest, err)
	}
	if err := old.WaitIdle(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestTCPConnectionIsCut(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.TCP, nil)
	e.blue.Set([]router.Backend{tcpReplica(t, "blue-1")})
	conn := connect(t, e)
	readGreeting(t, conn)

	if n := e.blue.CloseConnections(); n != 1 {
		t.Errorf("%d cut, want 1", n)
	}
	if rest, _ := io.ReadAll(conn); len(rest) != 0 {
		t.Errorf("after the cut came %q", rest)
	}
	if got := readGreeting(t, connect(t, e)); got != "blue-1" {
		t.Errorf("after the cut %q greets", got)
	}
}

func TestTCPReplicaThatRefusesIsPassedOver(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]bool{"the first": true, "the second": false} {
		t.Run(name+" refuses", func(t *testing.T) {
			t.Parallel()
			e := startRouter(t, protocol.TCP, nil)
			backends := []router.Backend{tcpReplica(t, "blue-1"), refusingReplica(t, "blue-0")}
			if first {
				slices.Reverse(backends)
			}
			e.blue.Set(backends)
			for range 3 {
				if got := readGreeting(t, connect(t, e)); got != "blue-1" {
					t.Errorf("%q greets", got)
				}
			}
		})
	}
}

func TestTCPClientWithoutAReplicaIsClosed(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.TCP, nil)
	for _, pool := range []*router.Pool{nil, e.blue} {
		e.Switch(pool)
		if got, _ := io.ReadAll(connect(t, e)); len(got) != 0 {
			t.Errorf("got %q without a replica", got)
		}
	}
}

func TestTCPShutdownClosesConnectionsWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.TCP, nil)
	e.blue.Set([]router.Backend{tcpReplica(t, "blue-1")})
	conn := connect(t, e)
	readGreeting(t, conn)

	over := errors.New("grace time is over")
	if err := e.Shutdown(endedContext(t, over)); !errors.Is(err, over) {
		t.Errorf("shutdown: %v", err)
	}
	if rest, _ := io.ReadAll(conn); len(rest) != 0 {
		t.Errorf("after the shutdown came %q", rest)
	}
}

// listenerWithoutDescriptors has no file descriptor for its first client.
type listenerWithoutDescriptors struct {
	net.Listener

	failed bool
}

func (l *listenerWithoutDescriptors) Accept() (net.Conn, error) {
	if !l.failed {
		l.failed = true
		return nil, &net.OpError{Op: "accept", Err: syscall.EMFILE}
	}
	return l.Listener.Accept()
}

func TestTCPAcceptsAgainAfterALackOfFileDescriptors(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.TCP, nil)
	e.blue.Set([]router.Backend{tcpReplica(t, "blue-1")})
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- e.Serve(&listenerWithoutDescriptors{Listener: l}) }()
	e.addr = l.Addr().String()
	if got := readGreeting(t, connect(t, e)); got != "blue-1" {
		t.Errorf("%s greets", got)
	}
	e.blue.Close()
	if err := e.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}
