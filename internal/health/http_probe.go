// SPDX-License-Identifier: MPL-2.0

package health

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

const (
	// maxAnswer limits what a probe reads of an answer, header and body together.
	maxAnswer = 64 << 10
	// maxBody limits what it reads of the body.
	maxBody = 4 << 10
	// drainTime limits how long a probe reads on after it has passed, so that a
	// service whose answer does not end (an event stream) passes at once.
	drainTime = 100 * time.Millisecond
)

// httpProbe sends one GET request on one connection. It does not use
// http.Transport, which would keep the connection, use a proxy and negotiate
// compression, and whose goroutines end some time after the request.
type httpProbe struct {
	request *http.Request
	accept  statusCodes
	// tls is nil for plain HTTP.
	tls  *tls.Config
	port int
}

func (p *httpProbe) run(ctx context.Context, target bluegreen.Target) error {
	conn, err := dial(ctx, target, p.port)
	if err != nil {
		return err
	}
	defer closeWhenDone(ctx, conn)()

	stream := conn
	if p.tls != nil {
		secure := tls.Client(conn, p.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		stream = secure
	}
	response, err := p.send(stream)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if p.accept.hasCode(response.StatusCode) {
		drain(ctx, conn, response.Body)
		return nil
	}
	return newRejection(response)
}

// send sends the request and returns the final answer. It skips informational
// ones (103 Early Hints) and does not follow redirects.
func (p *httpProbe) send(stream io.ReadWriter) (*http.Response, error) {
	if err := p.request.Write(stream); err != nil {
		return nil, err
	}
	reader := bufio.NewReader(io.LimitReader(stream, maxAnswer))
	for {
		response, err := http.ReadResponse(reader, p.request)
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
	}
}

// drain reads the rest of the answer, so that the service can finish writing it.
func drain(ctx context.Context, conn net.Conn, body io.Reader) {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	defer closeWhenDone(ctx, conn)()
	_, _ = io.CopyN(io.Discard, body, maxBody)
}

// newRejection describes an answer that is not accepted: the standard text of its
// status and, if the body is readable text, its first line. It contains no header
// values, because they may be secrets.
func newRejection(response *http.Response) *rejection {
	answer := strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)))
	if response.StatusCode >= 300 && response.StatusCode < 400 {
		answer += " (redirects are not followed)"
	}
	// After an error, what was read before it is still worth showing.
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if isReadable(response.Header.Get("Content-Type")) {
		if line := firstLine(string(body)); line != "" {
			answer += ": " + line
		}
	}
	return &rejection{answer}
}

// isReadable reports whether the first line of a body of this type can describe
// the problem. The first line of HTML never does.
func isReadable(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	return media == "text/plain" || media == "application/json" || strings.HasSuffix(media, "+json")
}
