// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
)

// manner is how a replica answers a request.
type manner struct {
	name string
	// writes are what it sends, each in one write. NAME stands for the name of the request
	// and "|" for a line end.
	writes []string
	// closes ends the connection afterwards.
	closes bool
	// isEarly answers before the body is read.
	isEarly bool
}

const (
	named     = "X-Name: NAME|"
	pairingOK = "HTTP/1.1 200 OK|" + named + "Content-Length: 8||NAME"
	chunked   = "HTTP/1.1 200 OK|" + named + "Transfer-Encoding: chunked||"
	// stray is a whole answer that nobody has asked for.
	stray = "HTTP/1.1 200 OK|" + named + "X-Stray: NAME|Content-Length: 8||NAME"
)

var manners = []manner{
	{name: "well", writes: []string{pairingOK}},
	{name: "in chunks", writes: []string{chunked + "1|~|7|REST|0||"}},
	{name: "in parts", writes: []string{"HTTP/1.1 200 OK|" + named + "Content-", "Length: 8||", "NAME"}},
	{name: "until the end", writes: []string{"HTTP/1.1 200 OK|" + named + "|NAME" + stray}, closes: true},
	{name: "with a surplus", writes: []string{pairingOK + "NAME"}},
	{name: "twice", writes: []string{pairingOK + stray}},
	{name: "three times", writes: []string{pairingOK + stray + stray}},
	{name: "in chunks, twice", writes: []string{chunked + "8|NAME|0||" + stray}},
	{name: "with a line end too many", writes: []string{pairingOK + "|"}},
	{name: "without a body", writes: []string{"HTTP/1.1 200 OK|" + named + "Content-Length: 0||"}},
	{name: "204 with an answer", writes: []string{"HTTP/1.1 204 No Content|" + named + "|" + stray}},
	{name: "204 with chunks", writes: []string{"HTTP/1.1 204 No Content|Transfer-Encoding: chunked||8|NAME|0||"}},
	{name: "304 with a body", writes: []string{"HTTP/1.1 304 Not Modified|" + named + "Content-Length: 8||NAME"}},
	{name: "304 with an answer", writes: []string{"HTTP/1.1 304 Not Modified|" + named + "|" + stray}},
	{name: "too short", writes: []string{"HTTP/1.1 200 OK|" + named + "Content-Length: 100||NAME"}, closes: true},
	{name: "with half a head", writes: []string{"HTTP/1.1 200 OK|X-Name: NAM"}, closes: true},
	{name: "not at all", closes: true},
	{name: "with a bad chunk", writes: []string{chunked + "8|NAME|zz|" + stray}},
	{name: "with chunks that break off", writes: []string{chunked + "8|NAME|64|NAME"}, closes: true},
	{name: "with a hint", writes: []string{"HTTP/1.1 103 Early Hints|" + named + "|" + pairingOK}},
	{name: "with a hint alone", writes: []string{"HTTP/1.1 103 Early Hints|" + named + "|"}, closes: true},
	{name: "with a hint that has a body", writes: []string{
		"HTTP/1.1 103 Early Hints|" + named + "Content-Length: 8||NAME" + pairingOK,
	}},
	{name: "asking twice", isEarly: true, writes: []string{
		"HTTP/1.1 100 Continue||HTTP/1.1 100 Continue||" + pairingOK,
	}},
	{name: "early", isEarly: true, writes: []string{pairingOK}},
	{name: "early, twice", isEarly: true, writes: []string{pairingOK + stray}},
	{name: "early, and closes", isEarly: true, writes: []string{pairingOK}, closes: true},
	{name: "with a status that is none", writes: []string{"HTTP/1.1 099 No|" + named + "Content-Length: 8||NAME"}},
	{name: "with nonsense", writes: []string{"NAME||" + stray}},
	{name: "with two lengths", writes: []string{
		"HTTP/1.1 200 OK|Content-Length: 8|Content-Length: 9||NAME" + stray,
	}},
	{name: "with a length and chunks", writes: []string{
		"HTTP/1.1 200 OK|Content-Length: 99|Transfer-Encoding: chunked||0||" + stray,
	}},
	{name: "in HTTP/1.0", writes: []string{"HTTP/1.0 200 OK|" + named + "Content-Length: 8||NAME" + stray}},
	{name: "closing, twice", writes: []string{
		"HTTP/1.1 200 OK|Connection: close|" + named + "Content-Length: 8||NAME" + stray,
	}},
	{name: "upgrading", writes: []string{
		"HTTP/1.1 101 Switching Protocols|Connection: Upgrade|Upgrade: foo||" + stray,
	}},
	{name: "longer than a buffer", writes: []string{
		"HTTP/1.1 200 OK|" + named + "Content-Length: 8000||LONG" + stray,
	}},
	{name: "with a trailer and more", writes: []string{
		"HTTP/1.1 200 OK|" + named + "Transfer-Encoding: chunked|Trailer: X-T||0|X-T: NAME||" + stray,
	}},
}

// startUnrulyReplica starts a replica that answers as the path of a request says:
// "/<number of the manner>/<name of the request>". It goes on with the next request on the
// same connection, whatever it has sent. It answers HEAD as if it were GET.
func startUnrulyReplica(t *testing.T) (address string) {
	t.Helper()
	return serveRaw(t, func(_ int, conn net.Conn) { serveUnruly(t, conn) })
}

func serveUnruly(t *testing.T, conn net.Conn) {
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		number, name, _ := strings.Cut(strings.TrimPrefix(r.RequestURI, "/"), "/")
		n, err := strconv.Atoi(number)
		if err != nil || n >= len(manners) || r.Header.Get("X-Name") != name {
			t.Errorf("the replica got %s %s with the name %q", r.Method, r.RequestURI, r.Header.Get("X-Name"))
			return
		}
		m := manners[n]
		if r.Header.Get("Expect") != "" && !m.isEarly {
			// Without it the router would wait before it sends the body.
			_, _ = io.WriteString(conn, fillIn("HTTP/1.1 100 Continue||", name))
		}
		if !m.isEarly && !isReadWhole(t, r, name) {
			return
		}
		for _, part := range m.writes {
			_, _ = io.WriteString(conn, fillIn(part, name))
		}
		if m.closes || m.isEarly && !isReadWhole(t, r, name) {
			return
		}
	}
}

// isReadWhole reads the body of a request, which must be the client's own.
func isReadWhole(t *testing.T, r *http.Request, name string) bool {
	body, err := io.ReadAll(r.Body)
	for _, got := range anyName.FindAll(body, -1) {
		if string(got) != name {
			t.Errorf("the replica got a body of %s with the request %s: %q", got, name, body)
		}
	}
	return err == nil
}

// fillIn returns the bytes of a text for the request with this name.
func fillIn(text, name string) string {
	return strings.NewReplacer(
		"NAME", name, "REST", name[1:], "LONG", strings.Repeat(name, 1000), "|", "\r\n",
	).Replace(text)
}
