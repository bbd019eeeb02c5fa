// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// memoryListener accepts connections in memory, so that a test can fake the time.
type memoryListener struct {
	accepted chan net.Conn
	closed   chan struct{}
	// failures is how many calls of Accept fail before the first connection.
	failures int
}

func (l *memoryListener) Accept() (net.Conn, error) {
	if l.failures > 0 {
		l.failures--
		return nil, syscall.EMFILE
	}
	select {
	case conn := <-l.accepted:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *memoryListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *memoryListener) Addr() net.Addr { return &net.UnixAddr{} }

// dial connects as a client.
func (l *memoryListener) dial() net.Conn {
	client, server := net.Pipe()
	l.accepted <- server
	return client
}

// serveInMemory calls test while a router without a pool serves l.
func serveInMemory(t *testing.T, protocol protocol.Protocol, l *memoryListener, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		l.accepted, l.closed = make(chan net.Conn), make(chan struct{})
		r := router.New("live", protocol, router.Options{})
		served := make(chan error, 1)
		go func() { served <- r.Serve(l) }()
		test(t)
		if err := r.Shutdown(t.Context()); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
}

// A client that sends its header slowly could otherwise hold connections for good.
func TestClientWithoutAHeaderIsHungUpOn(t *testing.T) {
	t.Parallel()
	l := &memoryListener{}
	serveInMemory(t, protocol.HTTP, l, func(t *testing.T) {
		client := l.dial()
		defer client.Close()
		begun := time.Now()
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: web\r\n"); err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, client)
		if waited := time.Since(begun); waited < 5*time.Second || waited > 30*time.Second {
			t.Errorf("a client without a header was hung up on after %s", waited)
		}
	})
}

// A load balancer in front of the router may keep an idle connection for 10 minutes. If the
// router closed first, a request could be lost.
func TestIdleClientIsHungUpOnAfterOtherProxiesAre(t *testing.T) {
	t.Parallel()
	l := &memoryListener{}
	serveInMemory(t, protocol.HTTP, l, func(t *testing.T) {
		client := l.dial()
		defer client.Close()
		if _, err := io.WriteString(client, "GET / HTTP/1.1\r\nHost: web\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		answer := bufio.NewReader(client)
		response, err := http.ReadResponse(answer, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, response.Body); err != nil {
			t.Error(err)
		}
		response.Body.Close()
		begun := time.Now()
		_, _ = io.Copy(io.Discard, answer)
		if waited := time.Since(begun); waited <= 10*time.Minute || waited > 15*time.Minute {
			t.Errorf("an idle client was hung up on after %s", waited)
		}
	})
}

// While this process has too many open files, it does not try to accept all the time.
func TestAcceptingIsTriedAgainAfterAPause(t *testing.T) {
	t.Parallel()
	for failures, longest := range map[int]time.Duration{1: 100 * time.Millisecond, 20: 30 * time.Second} {
		l := &memoryListener{failures: failures}
		serveInMemory(t, protocol.TCP, l, func(t *testing.T) {
			begun := time.Now()
			client := l.dial()
			// There is no pool, so the router hangs up.
			_, _ = io.Copy(io.Discard, client)
			client.Close()
			shortest := time.Duration(failures) * time.Millisecond
			if waited := time.Since(begun); waited < shortest || waited > longest {
				t.Errorf("after %d failures a client was accepted after %s", failures, waited)
			}
		})
	}
}
