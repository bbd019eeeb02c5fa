// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// isGRPC reports whether a request is sent over HTTP/2, which gRPC needs. Everything else
// is sent over HTTP/1.1, which every server speaks.
func isGRPC(r *http.Request) bool {
	if r.ProtoMajor < 2 {
		return false
	}
	// "application/grpc+proto" is gRPC, "application/grpc-web" is not.
	rest, ok := strings.CutPrefix(r.Header.Get("Content-Type"), "application/grpc")
	return ok && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

// newHTTP2Transport returns the library's client for HTTP/2 without TLS.
func (u *upstream) newHTTP2Transport() *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Transport{
		Protocols:       protocols,
		DialContext:     u.dialHTTP2,
		IdleConnTimeout: idleTimeout,
		// The client negotiates its encoding with the replica.
		DisableCompression: true,
	}
}

func (u *upstream) dialHTTP2(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := u.dial(ctx)
	if err != nil {
		return nil, err
	}
	tracked := &trackedConn{TCPConn: conn, set: &u.conns}
	if !u.conns.add(tracked) {
		return nil, errors.Join(errCut, conn.Close())
	}
	return tracked, nil
}

// lastStatus is the last status of three digits. The library takes any number.
const lastStatus = 999

// tryHTTP2 is try over HTTP/2. It sets no limit to the time until the head of the answer:
// that of a gRPC stream comes with its first message, and its client sets a deadline itself.
func (x *exchange) tryHTTP2() (isOver bool) {
	res, err := x.upstream.http2.RoundTrip(x.newHTTP2Request())
	if err != nil {
		if _, isRefused := errors.AsType[*dialError](err); isRefused {
			return x.handleDialError(err)
		}
		if _, isLong := errors.AsType[*http.MaxBytesError](err); isLong {
			x.failForClient(errLongBody)
			return true
		}
		x.fail(errNoAnswer)
		return true
	}
	if res.StatusCode < http.StatusOK || res.StatusCode > lastStatus {
		_ = res.Body.Close()
		x.fail(errMalformed)
		return true
	}
	x.passAnswer(nil, res)
	return true
}

func (x *exchange) newHTTP2Request() *http.Request {
	r := x.request
	header := make(http.Header, len(r.Header))
	x.requestHeaders(func(name, value string) { header[name] = append(header[name], value) })
	if _, isKnown := header["User-Agent"]; !isKnown {
		// The library would send its own otherwise.
		header["User-Agent"] = nil
	}
	target := &url.URL{
		Scheme: "http", Host: x.upstream.Addr, Path: r.URL.Path, RawPath: r.URL.RawPath,
		RawQuery: r.URL.RawQuery, ForceQuery: r.URL.ForceQuery,
	}
	outgoing := &http.Request{
		Method: r.Method, URL: target, Host: r.Host, Header: header, ContentLength: r.ContentLength,
		Trailer: r.Trailer, Proto: "HTTP/2.0", ProtoMajor: 2,
	}
	if r.ContentLength != 0 {
		// Another replica may be asked, so it is the server that closes the body.
		outgoing.Body = io.NopCloser(r.Body)
		if limit := x.settings.MaxBody; limit > 0 {
			outgoing.Body = http.MaxBytesReader(x.ResponseWriter, outgoing.Body, limit)
		}
	}
	return outgoing.WithContext(r.Context())
}
