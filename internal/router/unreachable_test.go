// SPDX-License-Identifier: MPL-2.0

//go:build unix

package router_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// absent is a replica that refuses connections until begin is called.
func closedReplica(tb testing.TB, id string) (b router.Backend, begin func() net.Listener) {
	tb.Helper()
	must := func(err error) {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	must(err)
	file := os.NewFile(uintptr(fd), "socket")
	tb.Cleanup(func() { file.Close() })
	must(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}))
	bound, err := syscall.Getsockname(fd)
	must(err)
	at, ok := bound.(*syscall.SockaddrInet4)
	if !ok {
		tb.Fatalf("an IPv4 socket is at a %T", bound)
	}
	address := net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: at.Port}
	return router.Backend{ID: id, Addr: address.String()}, func() net.Listener {
		tb.Helper()
		must(syscall.Listen(fd, 16))
		listener, err := net.FileListener(file)
		must(err)
		tb.Cleanup(func() { listener.Close() })
		return listener
	}
}

// A machine that is gone can take seconds to refuse. No client waits for a second
// refusal: the router passes the replica over for a second, and then connects to it
// without a request.
func TestReplicaThatRefusedIsTriedWithoutARequest(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	gone, begin := closedReplica(t, "blue-1")
	e.blue.Set([]router.Backend{gone, replica(t, "blue-2", answerWith("blue-2"))})
	begun := time.Now()
	// Each replica is tried, but for one run in 2^40.
	for range 40 {
		get(t, c, e.url)
	}

	back := begin()
	asked := make(chan error, 1)
	go func() {
		asked <- func() error {
			first, err := back.Accept()
			if err != nil {
				return err
			}
			defer first.Close()
			if waited := time.Since(begun); waited < time.Second {
				return fmt.Errorf("tried again after %s", waited)
			}
			if n, err := io.Copy(io.Discard, first); n > 0 || err != nil {
				return errors.Join(errors.New("the first connection carried a request"), err)
			}
			second, err := back.Accept()
			if err != nil {
				return err
			}
			defer second.Close()
			if _, err := http.ReadRequest(bufio.NewReader(second)); err != nil {
				return err
			}
			_, err = io.WriteString(second, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nblue-1")
			return err
		}()
	}()
	for {
		get(t, c, e.url)
		select {
		case err := <-asked:
			if err != nil {
				t.Error(err)
			}
			return
		default:
		}
	}
}

// A replica that refused is still tried if there is no other.
func TestReplicaThatRefusedIsTheLastResort(t *testing.T) {
	t.Parallel()
	e, c := startRouter(t, protocol.HTTP, nil), newClient(t)
	gone, begin := closedReplica(t, "blue-1")
	e.blue.Set([]router.Backend{gone})
	if got := get(t, c, e.url); got.StatusCode != http.StatusBadGateway {
		t.Errorf("got %s", got.Status)
	}
	server := http.Server{Handler: answerWith("blue-1")}
	t.Cleanup(func() { server.Close() })
	go func() { _ = server.Serve(begin()) }()
	if got := get(t, c, e.url); got.text != "blue-1" {
		t.Errorf("got %s %q", got.Status, got.text)
	}
}
