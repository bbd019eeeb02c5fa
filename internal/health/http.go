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
	// maxAnswer bounds what a probe reads of an answer, header and body together.
	maxAnswer = 64 << 10
	// maxBody bounds what it reads of the body.
	maxBody = 4 << 10
	// drainTime bounds how long a probe that has passed goes on reading, so that
	// a service whose answer has no end (an event stream) still passes at once.
	drainTime = 100 * time.Millisecond
)

// httpProbe sends one GET on one connection. It does without http.Transport,
// whose dialing and reading goroutines end some time after the request, and
// which would keep the connection, follow proxies and negotiate compression.
type httpProbe struct {
	request *http.Request
	accept  StatusCodes
	// tls is nil for plain HTTP.
	tls  *tls.Config
	port int
}

func (p *httpProbe) run(ctx context.Context, target bluegreen.Target) error {
	conn, err := dial(ctx, target, p.port)
	if err != nil {
		return err
	}
	defer bind(ctx, conn)()

	stream := conn
	if p.tls != nil {
		secure := tls.Client(conn, p.tls)
		if err := secure.HandshakeContext(ctx); err != nil {
			return err
		}
		stream = secure
	}
	response, err := p.exchange(stream)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if p.accept.Contains(response.StatusCode) {
		drain(ctx, conn, response.Body)
		return nil
	}
	return refused(response)
}

// exchange returns the final answer: informational ones (103 Early Hints) are
// passed over. Redirects are answers like any other.
func (p *httpProbe) exchange(stream io.ReadWriter) (*http.Response, error) {
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

// drain reads what is left of the answer, so that the service is not cut off
// in the middle of it.
func drain(ctx context.Context, conn net.Conn, body io.Reader) {
	ctx, cancel := context.WithTimeout(ctx, drainTime)
	defer cancel()
	defer bind(ctx, conn)()
	_, _ = io.CopyN(io.Discard, body, maxBody)
}

// refused describes an answer that is not accepted: the status in our own
// words and, where it is meant to be read, the first line of the body. Header
// values stay out: they may be secrets.
func refused(response *http.Response) *refusal {
	answer := strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)))
	if response.StatusCode >= 300 && response.StatusCode < 400 {
		answer += " (redirects are not followed)"
	}
	// What was read until an error is still worth showing.
	body, _ := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if readable(response.Header.Get("Content-Type")) {
		if line := oneLine(string(body)); line != "" {
			answer += ": " + line
		}
	}
	return &refusal{answer}
}

// readable reports whether the first line of a body of this type is likely to
// say what is wrong. The first line of HTML never does.
func readable(contentType string) bool {
	media, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return false
	}
	return media == "text/plain" || media == "application/json" || strings.HasSuffix(media, "+json")
}
