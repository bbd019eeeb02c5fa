// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// A client that begins a request and does not finish its header is disconnected
// after ten seconds. Many of them would use up the router's connections.
func TestClientThatDoesNotFinishItsHeaderIsDisconnected(t *testing.T) {
	t.Parallel()
	h := startRouter(t, router.HTTP, nil)
	conn, err := net.Dial("tcp", h.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: web\r\n"); err != nil {
		t.Fatal(err)
	}
	// Much later than the router's limit: a busy machine changes nothing.
	if err := conn.SetReadDeadline(time.Now().Add(2 * time.Minute)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("the connection is still open")
	}
}
