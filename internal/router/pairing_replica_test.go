// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// manner is how a replica answers a request. NAME stands for the request's name, BODY for
// an answer to nobody that carries it.
type manner struct {
	name   string
	writes []string
	closes bool
	// isEarly answers before the body is read.
	isEarly bool
}

const (
	pairingOK = "HTTP/1.1 200 OK\r\nX-Name: NAME\r\nContent-Length: LENGTH\r\n\r\nNAME"
	pairingTE = "HTTP/1.1 200 OK\r\nX-Name: NAME\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n~\r\nHEX\r\nREST\r\n0\r\n\r\n"
	// stray is a whole answer that nobody has asked for.
	stray = "HTTP/1.1 200 OK\r\nX-Name: NAME\r\nX-Stray: NAME\r\nContent-Length: LENGTH\r\n\r\nNAME"
)

var manners = []manner{
	{"well", []string{pairingOK}, false, false},
	{"in chunks", []string{pairingTE}, false, false},
	{"in parts", []string{"HTTP/1.1 200 OK\r\nX-Name: NAME\r\nContent-", "Length: LENGTH\r\n\r\n", "NAME"}, false, false},
	{"until the end", []string{"HTTP/1.1 200 OK\r\nX-Name: NAME\r\n\r\nNAME" + stray}, true, false},
	{"with a surplus", []string{pairingOK + "NAME"}, false, false},
	{"twice", []string{pairingOK + stray}, false, false},
	{"three times", []string{pairingOK + stray + stray}, false, false},
	{"in chunks, twice", []string{pairingTE + stray}, false, false},
	{"with a line end too many", []string{pairingOK + "\r\n"}, false, false},
	{"without a body", []string{"HTTP/1.1 200 OK\r\nX-Name: NAME\r\nContent-Length: 0\r\n\r\n"}, false, false},
	{"204 with a body", []string{"HTTP/1.1 204 No Content\r\nX-Name: NAME\r\n\r\n" + stray}, false, false},
	{"204 with chunks", []string{"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nNAME\r\n0\r\n\r\n"}, false, false},
	{"304 with a body", []string{"HTTP/1.1 304 Not Modified\r\nX-Name: NAME\r\nContent-Length: 8\r\n\r\nNAME"}, false, false},
	{"304 and an answer", []string{"HTTP/1.1 304 Not Modified\r\nX-Name: NAME\r\n\r\n" + stray}, false, false},
	{"with too little", []string{"HTTP/1.1 200 OK\r\nX-Name: NAME\r\nContent-Length: 100\r\n\r\nNAME"}, true, false},
	{"with half a head", []string{"HTTP/1.1 200 OK\r\nX-Name: NA"}, true, false},
	{"not at all", nil, true, false},
	{"with a bad chunk", []string{
		"HTTP/1.1 200 OK\r\nX-Name: NAME\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nNAME\r\nzz\r\n" + stray,
	}, false, false},
	{"with chunks that break off", []string{
		"HTTP/1.1 200 OK\r\nX-Name: NAME\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nNAME\r\n64\r\nNAME",
	}, true, false},
	{"with a hint", []string{"HTTP/1.1 103 Early Hints\r\nX-Name: NAME\r\n\r\n" + pairingOK}, false, false},
	{"with a hint alone", []string{"HTTP/1.1 103 Early Hints\r\nX-Name: NAME\r\n\r\n"}, true, false},
	{"with a hint that has a body", []string{
		"HTTP/1.1 103 Early Hints\r\nX-Name: NAME\r\nContent-Length: 8\r\n\r\nNAME" + pairingOK,
	}, false, false},
	{"asking twice", []string{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + pairingOK}, false, true},
	{"early", []string{pairingOK}, false, true},
	{"early, twice", []string{pairingOK + stray}, false, true},
	{"early, and closes", []string{pairingOK}, true, true},
	{"with a status that is none", []string{"HTTP/1.1 099 No\r\nX-Name: NAME\r\nContent-Length: 8\r\n\r\nNAME"}, false, false},
	{"with nonsense", []string{"NAME\r\n\r\n" + stray}, false, false},
	{"with two lengths", []string{"HTTP/1.1 200 OK\r\nContent-Length: 8\r\nContent-Length: 9\r\n\r\nNAME" + stray}, false, false},
	{"with a length and chunks", []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 99\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + stray,
	}, false, false},
	{"of HTTP/1.0", []string{"HTTP/1.0 200 OK\r\nX-Name: NAME\r\nContent-Length: LENGTH\r\n\r\nNAME" + stray}, false, false},
	{"closing, twice", []string{
		"HTTP/1.1 200 OK\r\nConnection: close\r\nX-Name: NAME\r\nContent-Length: LENGTH\r\n\r\nNAME" + stray,
	}, false, false},
	{"upgrading", []string{
		"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n" + stray,
	}, false, false},
	{"with more than a buffer", []string{"HTTP/1.1 200 OK\r\nX-Name: NAME\r\nContent-Length: 9000\r\n\r\nLONG" + stray}, false, false},
	{"with a trailer and more", []string{
		"HTTP/1.1 200 OK\r\nX-Name: NAME\r\nTransfer-Encoding: chunked\r\nTrailer: X-T\r\n\r\n0\r\nX-T: NAME\r\n\r\n" + stray,
	}, false, false},
}

// startUnrulyReplica starts a replica that answers as the path of a request says:
// "/<number of the manner>/<name of the request>". It goes on with the next request on the
// same connection, whatever it has sent. It answers HEAD as if it were GET.
func startUnrulyReplica(t *testing.T) (address string) {
	t.Helper()
	l := listen(t)
	var mu sync.Mutex
	var conns []net.Conn
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, conn)
			mu.Unlock()
			serving.Go(func() { serveUnruly(t, conn) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, conn := range conns {
			conn.Close()
		}
		mu.Unlock()
		serving.Wait()
	})
	return l.Addr().String()
}

func serveUnruly(t *testing.T, conn net.Conn) {
	defer conn.Close()
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
			_, _ = io.WriteString(conn, "HTTP/1.1 100 Continue\r\n\r\n")
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

func fillIn(text, name string) string {
	const long = 9000
	return strings.NewReplacer(
		"NAME", name, "LENGTH", strconv.Itoa(len(name)), "HEX", fmt.Sprintf("%x", len(name)-1), "REST", name[1:],
		"LONG", strings.Repeat(name, long/len(name)+1)[:long],
	).Replace(text)
}
