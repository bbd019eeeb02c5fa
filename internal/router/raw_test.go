// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"net"
	"sync"
	"testing"
)

// serveRaw starts a replica that calls serve for each connection, with its number from 1 on,
// and closes the connection afterwards. At the end of the test it closes what is open.
func serveRaw(tb testing.TB, serve func(number int, conn net.Conn)) (address string) {
	tb.Helper()
	l := listen(tb)
	var conns []net.Conn
	var accepting, serving sync.WaitGroup
	accepting.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns = append(conns, conn)
			number := len(conns)
			serving.Go(func() {
				defer conn.Close()
				serve(number, conn)
			})
		}
	})
	tb.Cleanup(func() {
		l.Close()
		accepting.Wait()
		for _, conn := range conns {
			conn.Close()
		}
		serving.Wait()
	})
	return l.Addr().String()
}

// connect connects as a client that writes by hand.
func connect(t *testing.T, e *harness) *net.TCPConn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		t.Fatalf("a TCP connection is a %T", conn)
	}
	return tcp
}
