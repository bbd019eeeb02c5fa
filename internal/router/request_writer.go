// SPDX-License-Identifier: MPL-2.0

package router

import (
	"bufio"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// requestHeaders calls add for every header that the replica gets, except for those that
// frame the message.
func (x *exchange) requestHeaders(add func(name, value string)) {
	r, c := x.request, clientOf(x.request)
	isTrusted := c.isTrusted(x.settings.TrustedProxies)
	connection := r.Header["Connection"]
	for name, values := range r.Header {
		if !canPass(name, isTrusted) || len(connection) > 0 && isListed(connection, name) {
			continue
		}
		for _, value := range values {
			add(name, value)
		}
	}
	if isListed(r.Header["Te"], "trailers") {
		add("Te", "trailers")
	}
	c.forwardedHeaders(r, isTrusted, add)
	add(requestIDHeader, x.requestID)
}

// requestWriter writes requests to a replica over HTTP/1.1. Errors are kept by the buffer,
// and its Flush returns them.
type requestWriter struct{ *bufio.Writer }

func (w requestWriter) text(parts ...string) {
	for _, part := range parts {
		_, _ = w.WriteString(part)
	}
}

func (w requestWriter) header(name, value string) { w.text(name, ": ", value, "\r\n") }

// head writes the head of a request. A body of unknown length is sent in chunks.
func (w requestWriter) head(x *exchange, upgrade string) {
	r := x.request
	w.text(r.Method, " ", requestTarget(r), " HTTP/1.1\r\nHost: ", r.Host, "\r\n")
	x.requestHeaders(w.header)
	switch {
	case r.ContentLength > 0:
		w.header("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	case r.ContentLength < 0:
		w.header("Transfer-Encoding", "chunked")
		var announced []string
		for name := range r.Trailer {
			if canPassTrailer(name) {
				announced = append(announced, name)
			}
		}
		if slices.Sort(announced); announced != nil {
			w.header("Trailer", strings.Join(announced, ", "))
		}
	case r.Method == http.MethodPost || r.Method == http.MethodPut || r.Method == http.MethodPatch:
		w.header("Content-Length", "0")
	}
	if upgrade != "" {
		w.header("Connection", "Upgrade")
		w.header("Upgrade", upgrade)
	}
	w.text("\r\n")
}

// requestTarget returns the target of a request as the client wrote it. An absolute one is
// for proxies, and one with a space would end the line.
func requestTarget(r *http.Request) string {
	target := r.RequestURI
	if target != "*" && (!strings.HasPrefix(target, "/") || strings.ContainsFunc(target, isSpaceOrControl)) {
		return r.URL.RequestURI()
	}
	return target
}

// isTarget reports whether a target can be written into a request (RFC 9112 3.2). The standard
// library lets a query with a space pass that comes over HTTP/2, and a URL without a path.
func isTarget(target, method string) bool {
	return target == "*" && method == http.MethodOptions ||
		strings.HasPrefix(target, "/") && !strings.ContainsFunc(target, isSpaceOrControl)
}

func isSpaceOrControl(r rune) bool { return r <= ' ' || r == 0x7f }

// chunk writes a part of a body of unknown length.
func (w requestWriter) chunk(part []byte) {
	w.text(strconv.FormatInt(int64(len(part)), 16), "\r\n")
	_, _ = w.Write(part)
	w.text("\r\n")
}

// end ends a body of unknown length.
func (w requestWriter) end(trailer http.Header) {
	w.text("0\r\n")
	for name, values := range trailer {
		if !canPassTrailer(name) {
			continue
		}
		for _, value := range values {
			if httpguts.ValidHeaderFieldValue(value) {
				w.header(name, value)
			}
		}
	}
	w.text("\r\n")
}

// canPassTrailer reports whether a trailer of a request is passed on. The standard library
// checks headers, but neither the names nor the values of trailers.
func canPassTrailer(name string) bool {
	return httpguts.ValidHeaderFieldName(name) && canPass(name, false)
}

// isToken reports whether a method can be written into a request (RFC 9110 5.6.2). The
// standard library does not look at those that come over HTTP/2.
func isToken(s string) bool {
	return s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return isSpaceOrControl(r) || r > 0x7f || strings.ContainsRune(`"(),/:;<=>?@[\]{}`, r)
	})
}
