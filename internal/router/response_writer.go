// SPDX-License-Identifier: MPL-2.0

package router

import (
	"bufio"
	"errors"
	"net"
	"net/http"
	"strconv"
	"sync"
)

// responseWriter writes the answer to one request and counts what happens to
// it. Response writers are reused: the proxy keeps none beyond its ServeHTTP.
type responseWriter struct {
	http.ResponseWriter

	frontend   *httpFrontend
	assignment assignment
	counted    bool     // The request is in the metrics.
	refused    bool     // The replica refused, before anything was sent.
	failed     bool     // The replica failed the request.
	clientGone bool     // The client went away while the answer was written.
	remaining  int64    // How many bytes of the answer's declared length are still to come.
	upgraded   net.Conn // The client's connection, once it is no longer HTTP.
}

var _ http.Hijacker = (*responseWriter)(nil)

var responseWriters = sync.Pool{New: func() any { return new(responseWriter) }}

func newResponseWriter(f *httpFrontend, w http.ResponseWriter) *responseWriter {
	rw, _ := responseWriters.Get().(*responseWriter)
	*rw = responseWriter{ResponseWriter: w, frontend: f}
	return rw
}

func (rw *responseWriter) recycle() {
	*rw = responseWriter{}
	responseWriters.Put(rw)
}

// proxy sends the request to the assigned upstream and passes the answer on.
// It reports whether the upstream refused, so that another can be asked.
func (rw *responseWriter) proxy(a assignment, r *http.Request) (refused bool) {
	rw.assignment, rw.refused, rw.failed = a, false, false
	rw.countRequest(a.pool.counters)
	finished := false
	// The proxy panics with http.ErrAbortHandler when an answer breaks off.
	defer func() {
		rw.finish(r, finished)
		a.release()
	}()
	a.upstream.proxy.ServeHTTP(rw, r)
	finished = true
	if !rw.refused && !rw.failed && !rw.clientGone {
		a.upstream.noteAnswer()
	}
	return rw.refused
}

func (rw *responseWriter) countRequest(c *counters) {
	if !rw.counted {
		rw.counted = true
		c.requests.Inc()
	}
}

// finish counts a request that broke off, and an upgraded connection that was cut.
func (rw *responseWriter) finish(r *http.Request, finished bool) {
	if rw.upgraded != nil {
		rw.assignment.upstream.conns.remove(rw.upgraded)
		rw.frontend.upgraded.remove(rw.upgraded)
		rw.frontend.upgradedInFlight.leave()
		finished = !rw.assignment.upstream.conns.isClosed()
	}
	if !finished {
		rw.countFailure(r, errBrokenOff)
	}
}

// countFailure counts a failed request by its cause. What a client sends can break off
// as well, so a request with a body says nothing about the replica.
func (rw *responseWriter) countFailure(r *http.Request, cause error) {
	kind := failUpstream
	switch {
	case rw.assignment.upstream.conns.isClosed():
		kind = failCut
	case rw.clientGone || r.Context().Err() != nil:
		kind = failCanceled
	}
	rw.assignment.pool.counters.countFailure(kind)
	if rw.failed = true; kind == failUpstream && r.ContentLength == 0 {
		rw.assignment.upstream.noteFailure(cause)
	}
}

// handleProxyError is the proxy's error handler: the replica has not answered.
func handleProxyError(w http.ResponseWriter, r *http.Request, err error) {
	rw, _ := w.(*responseWriter)
	if _, refused := errors.AsType[*dialError](err); refused {
		rw.refused = true
		rw.assignment.upstream.noteFailure(errRefusedConnection)
		return
	}
	rw.countFailure(r, errNoAnswer)
	if rw.upgraded == nil {
		// This goes around rw, which would count it as a 5xx of the replica.
		http.Error(rw.ResponseWriter, "the replica did not answer", http.StatusBadGateway)
	}
}

// reject answers a request that no upstream takes. p is nil if there was none.
func (rw *responseWriter) reject(p *Pool, err error) {
	if p == nil {
		withoutPool := rw.frontend.router.withoutPool
		rw.countRequest(withoutPool)
		withoutPool.countFailure(failNoPool)
		rw.Header().Set("Retry-After", "1")
		http.Error(rw.ResponseWriter, err.Error(), http.StatusServiceUnavailable)
		return
	}
	rw.countRequest(p.counters)
	p.counters.countFailure(failRefused)
	http.Error(rw.ResponseWriter, err.Error(), http.StatusBadGateway)
}

// Unwrap is for http.ResponseController.
func (rw *responseWriter) Unwrap() http.ResponseWriter { return rw.ResponseWriter }

func (rw *responseWriter) WriteHeader(status int) {
	if status >= http.StatusInternalServerError {
		rw.assignment.pool.counters.countFailure(failStatus)
	}
	rw.remaining = 0
	if length := rw.Header()["Content-Length"]; len(length) == 1 {
		// The transport has refused an invalid length already.
		rw.remaining, _ = strconv.ParseInt(length[0], 10, 64)
	}
	rw.ResponseWriter.WriteHeader(status)
}

// Write passes a part of an answer on at once. The proxy itself flushes answers
// of unknown length, and the server flushes the last part of every answer.
func (rw *responseWriter) Write(b []byte) (int, error) {
	n, err := rw.ResponseWriter.Write(b)
	if err != nil {
		rw.clientGone = true
		return n, err
	}
	if rw.remaining -= int64(n); rw.remaining > 0 {
		if f, ok := rw.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
	}
	return n, nil
}

// Hijack hands the client's connection over to the proxy, and keeps track of it:
// a shutdown waits for it, and a cut closes it together with the replica's.
func (rw *responseWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	// It is counted here before the server stops counting it, so that a shutdown
	// misses none.
	rw.frontend.upgradedInFlight.enter()
	conn, buffered, err := http.NewResponseController(rw.ResponseWriter).Hijack()
	if err != nil {
		rw.frontend.upgradedInFlight.leave()
		return nil, nil, err
	}
	rw.upgraded = conn
	if !rw.assignment.upstream.conns.add(conn) || !rw.frontend.upgraded.add(conn) {
		// Cut already. The proxy notices with its first write.
		_ = conn.Close()
	}
	return conn, buffered, nil
}
