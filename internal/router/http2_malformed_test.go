// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// writeHeaders sends the head of a message that has no body.
func writeHeaders(f *http2.Framer, stream uint32, fields ...string) error {
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	for _, field := range fields {
		name, value, _ := strings.Cut(field, "=")
		if err := encoder.WriteField(hpack.HeaderField{Name: name, Value: value}); err != nil {
			return err
		}
	}
	return f.WriteHeaders(http2.HeadersFrameParam{
		StreamID: stream, BlockFragment: block.Bytes(), EndHeaders: true, EndStream: true,
	})
}

// askOverHTTP2 sends a request of these fields, and returns the status of its answer.
func askOverHTTP2(t *testing.T, e *harness, fields ...string) (status string) {
	t.Helper()
	conn := connect(t, e)
	f := http2.NewFramer(conn, conn)
	f.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	_, err := io.WriteString(conn, http2.ClientPreface)
	if err := errors.Join(err, f.WriteSettings(), writeHeaders(f, 1, fields...)); err != nil {
		t.Fatal(err)
	}
	for {
		frame, err := f.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		switch frame := frame.(type) {
		case *http2.MetaHeadersFrame:
			return frame.PseudoValue("status")
		case *http2.RSTStreamFrame:
			return frame.ErrCode.String()
		}
	}
}

// What could not be written into a request over HTTP/1.1 does not reach a replica.
func TestMalformedRequestOverHTTP2IsRefused(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	l := listen(t)
	t.Cleanup(func() { l.Close() })
	var asked atomic.Int64
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			asked.Add(1)
			conn.Close()
		}
	}()
	e.blue.Set([]router.Backend{{ID: "blue-1", Addr: l.Addr().String()}})
	for _, c := range []struct{ method, path, authority string }{
		{"GET", "/?a b", "web"},
		{"GET", "/?a HTTP/1.1", "web"},
		{"GET", "*", "web"},
		{"GET", "/", "a b"},
		{"GET", "/", "a\tb"},
		{"GET", "/", "a/b"},
		{"G T", "/", "web"},
	} {
		got := askOverHTTP2(t, e, ":method="+c.method, ":scheme=http", ":path="+c.path, ":authority="+c.authority)
		if n := asked.Swap(0); got != "400" || n > 0 {
			t.Errorf("%v is answered with %s, and the replica is asked %d times", c, got, n)
		}
	}
}

// answerOverHTTP2 is a replica that answers one request over HTTP/2 with this status.
func answerOverHTTP2(t *testing.T, l net.Listener, status string) {
	defer l.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close()
	f := http2.NewFramer(conn, conn)
	_, err = io.ReadFull(conn, make([]byte, len(http2.ClientPreface)))
	if err = errors.Join(err, f.WriteSettings()); err != nil {
		t.Error(err)
	}
	// It ends when the router closes the connection.
	for err == nil {
		var frame http2.Frame
		if frame, err = f.ReadFrame(); err == nil && frame.Header().Type == http2.FrameHeaders {
			err = writeHeaders(f, frame.Header().StreamID, ":status="+status)
		}
	}
}

// A replica that answers over HTTP/2 with a status that is none is to blame, and its client is told.
func TestStatusOverHTTP2ThatIsNone(t *testing.T) {
	t.Parallel()
	for status, want := range map[string]string{"200": "200", "42": "502", "099": "502", "1000": "502", "-5": "502"} {
		e := startRouter(t, protocol.HTTP, nil)
		blamed := make(chan error, 8)
		e.blue.OnFailure(func(_ router.Backend, _ int, cause error) { blamed <- cause })
		l := listen(t)
		go answerOverHTTP2(t, l, status)
		e.blue.Set([]router.Backend{{ID: "blue-1", Addr: l.Addr().String()}})
		got := askOverHTTP2(t, e,
			":method=POST", ":scheme=http", ":path=/", ":authority=web", "content-type=application/grpc")
		if isBlamed := len(blamed) > 0; got != want || isBlamed != (want == "502") {
			t.Errorf("status %s: the client gets %s, want %s; the replica is blamed: %v", status, got, want, isBlamed)
		}
	}
}
