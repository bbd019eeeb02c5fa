// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// secret stands for a user's data in an answer.
const secret = "S3CRET"

// badAnswers have the secret wherever a replica can write it.
var badAnswers = []string{
	secret + "\r\n\r\n",
	"HTTP/1.1 " + secret + "\r\n\r\n",
	"HTTP/1.1 099 " + secret + "\r\n\r\n",
	"HTTP/1.1 200 " + secret + "\r\n\r\n" + secret,
	"HTTP/1.1 200 OK\r\n" + secret + "\r\n\r\n",
	"HTTP/1.1 200 OK\r\n" + secret + " : a\r\n\r\n",
	"HTTP/1.1 200 OK\r\nX: " + secret + "\x00\r\n\r\n",
	"HTTP/1.1 200 OK\r\n\x01" + secret + ": a\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: " + secret + "\r\n\r\n",
	"HTTP/1.1 204 No Content\r\nContent-Length: " + secret + "\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: " + secret + "\r\n\r\n",
	"HTTP/1.1 304 Not Modified\r\nContent-Length: 6\r\n\r\n" + secret,
	"HTTP/1.1 103 Early Hints\r\nContent-Length: " + secret + "\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + secret + "\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + secret + "\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n" + secret + "\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na" + secret,
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + secret + "\r\n\r\n",
	"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: Content-Length, " + secret + "\r\n\r\n0\r\n\r\n",
	"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + secret,
	"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n" + secret,
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: " + secret + "\r\nConnection: Upgrade\r\n\r\n",
	"HTTP/1.1 999 OK\r\nContent-Length: 6\r\n\r\n" + secret,
}

// babbler is a replica that gives the bad answer with the number in the path, and then the
// secret once more.
func babbler(t *testing.T) store.ExternalReplica {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				r, err := http.ReadRequest(bufio.NewReader(conn))
				if err != nil {
					return
				}
				n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
				if err == nil && n < len(badAnswers) {
					_, _ = io.WriteString(conn, badAnswers[n])
				}
				_, _ = io.WriteString(conn, secret)
			}()
		}
	}()
	return store.ExternalReplica{ID: "green-1", Incarnation: "first", Address: l.Addr().String()}
}

// What replicas answer is their users' data. The agent logs nothing of it, however malformed
// it is; the libraries that it uses would.
func TestAgentLogsNothingOfAnswers(t *testing.T) {
	t.Parallel()
	r, ended := newRoutedProcess(t)
	replica := babbler(t)
	// The cause of a replica's failures is logged. The probes connect only.
	r.commitUpkeep(upkeepOf(health.Config{TCP: &health.TCP{}}), replica)
	r.Unlock()
	visitor := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for n := range badAnswers {
		for method, header := range map[string]http.Header{
			http.MethodGet:     {},
			http.MethodHead:    {},
			http.MethodOptions: {"Connection": {"Upgrade"}, "Upgrade": {"websocket"}},
			http.MethodPost:    {"Content-Type": {"application/grpc"}, "Te": {"trailers"}},
		} {
			request, err := http.NewRequestWithContext(t.Context(), method, r.endpoint+"/"+strconv.Itoa(n), http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			request.Header = header
			// What the client gets is not the question here.
			if response, err := visitor.Do(request); err == nil {
				_, _ = io.Copy(io.Discard, response.Body)
				response.Body.Close()
			}
		}
	}
	pid, err := r.client.PID(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	output, err := ended()
	log, readErr := os.ReadFile(r.client.dir.Log())
	if err := errors.Join(err, readErr); err != nil {
		t.Fatal(err)
	}
	all := output + string(log)
	if strings.Contains(all, secret) || !strings.Contains(all, "replica is unhealthy") {
		t.Errorf("logged is\n%s", all)
	}
}
