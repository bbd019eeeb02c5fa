// SPDX-License-Identifier: MPL-2.0

package router

import (
	"errors"
	"io"
	"net/http"
	"slices"
)

// errClientGone means that the answer cannot be written.
var errClientGone = errors.New("the client has gone")

// passInformation passes an informational answer (1xx) on. HTTP/1.0 has none (RFC 9110 15.2).
func (x *exchange) passInformation(res *http.Response) {
	if !x.request.ProtoAtLeast(1, 1) {
		return
	}
	header := x.Header()
	clear(header)
	copyAnswerHeader(header, res.Header)
	x.WriteHeader(res.StatusCode)
	clear(header)
}

// copyAnswerHeader copies what is not meant for the router alone.
func copyAnswerHeader(dst, src http.Header) {
	connection := src["Connection"]
	for name, values := range src {
		if !hopHeaders[name] && (len(connection) == 0 || !isListed(connection, name)) {
			dst[name] = values
		}
	}
}

// passAnswer passes an answer on, and reports whether the client can have all of it. conn
// is nil for one that came over HTTP/2.
func (x *exchange) passAnswer(conn *replicaConn, res *http.Response) (isWhole bool) {
	defer res.Body.Close()
	announced := x.passHead(res)
	if err := x.passBody(conn, res); err != nil {
		x.isCut = true
		if err != errClientGone { //nolint:errorlint // our own
			x.noteFailure(errBrokenOff)
		} else {
			x.countFailure(failCanceled)
			x.status = statusClientGone
		}
		return false
	}
	x.passTrailer(res.Trailer, announced)
	if !x.isFailed {
		x.upstream.noteAnswer()
	}
	return true
}

// passHead passes the head on, and returns how many trailers it announces.
func (x *exchange) passHead(res *http.Response) (announced int) {
	header := x.Header()
	copyAnswerHeader(header, res.Header)
	if _, isKnown := header["Content-Type"]; !isKnown {
		// net/http would guess one otherwise.
		header["Content-Type"] = nil
	}
	for name := range res.Trailer {
		header.Add("Trailer", name)
		announced++
	}
	if !x.upload.hasWholeBody() {
		x.closeAfterwards()
	}
	x.upstream.answers.count(res.StatusCode)
	if res.StatusCode >= http.StatusInternalServerError {
		x.pool.counters.countFailure(failStatus)
	}
	x.WriteHeader(res.StatusCode)
	if announced > 0 {
		// Otherwise net/http would send a short answer with a length, and no trailer.
		x.flush()
	}
	return announced
}

// passBody copies the body, each part at once. The server itself sends the last one. conn
// may be nil.
func (x *exchange) passBody(conn *replicaConn, res *http.Response) error {
	if res.Body == http.NoBody || res.ContentLength == 0 {
		return nil
	}
	if conn == nil || !conn.hasMore() {
		// The body may be long in coming.
		x.flush()
	}
	buf := copyBuffers.get()
	defer copyBuffers.put(buf)
	for left := res.ContentLength; ; {
		n, readErr := res.Body.Read(buf[:])
		if n > 0 {
			if _, err := x.Write(buf[:n]); err != nil {
				return errClientGone
			}
			if left > 0 {
				left -= int64(n)
			}
			if left != 0 && (conn == nil || !conn.hasLastChunk()) {
				x.flush()
			}
		}
		if readErr == io.EOF { //nolint:errorlint // what Read is documented to return
			return nil
		}
		if readErr != nil {
			return readErr
		}
	}
}

// flush sends what has been written. If the client has gone, the next write says so.
func (x *exchange) flush() {
	if f, ok := x.ResponseWriter.(http.Flusher); ok {
		f.Flush()
	}
}

// passTrailer passes the trailers on. Those that the head has not announced have a prefix. One
// must not frame a message (RFC 9110 6.5.1).
func (x *exchange) passTrailer(trailer http.Header, announced int) {
	for name, values := range trailer {
		if hopHeaders[name] || name == "Content-Length" {
			continue
		}
		if len(trailer) != announced {
			name = http.TrailerPrefix + name
		}
		x.Header()[name] = slices.Clone(values)
	}
}
