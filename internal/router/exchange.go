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

// exchange is one request on its way through the router, and the
// http.ResponseWriter that the proxy answers it with. Exchanges are reused: the
// proxy keeps none beyond its ServeHTTP.
type exchange struct {
	http.ResponseWriter

	front    *httpFront
	lease    lease
	counted  bool     // as a request, in the metrics
	refused  bool     // by the replica of the lease, before anything was sent
	gone     bool     // the client, while the answer was written
	left     int64    // bytes of the answer's declared length to come
	upgraded net.Conn // the client's connection, once it is no longer HTTP
}

var _ http.Hijacker = (*exchange)(nil)

var exchanges = sync.Pool{New: func() any { return new(exchange) }}

func newExchange(f *httpFront, w http.ResponseWriter) *exchange {
	x, _ := exchanges.Get().(*exchange)
	*x = exchange{ResponseWriter: w, front: f}
	return x
}

func (x *exchange) free() {
	*x = exchange{}
	exchanges.Put(x)
}

// refusedBy proxies the request to the member of the lease and reports whether
// that refused it, so that another may be asked.
func (x *exchange) refusedBy(l lease, r *http.Request) bool {
	x.lease, x.refused = l, false
	x.count(l.pool.counted)
	finished := false
	// The proxy panics with http.ErrAbortHandler when an answer breaks off.
	defer func() {
		x.finish(r, finished)
		l.release()
	}()
	l.member.proxy.ServeHTTP(x, r)
	finished = true
	return x.refused
}

func (x *exchange) count(c *counters) {
	if !x.counted {
		x.counted = true
		c.requests.Inc()
	}
}

func (x *exchange) finish(r *http.Request, finished bool) {
	if x.upgraded != nil {
		x.lease.member.conns.remove(x.upgraded)
		x.front.upgraded.remove(x.upgraded)
		x.front.upgradedLoad.leave()
		finished = !x.lease.member.conns.closed()
	}
	if !finished {
		x.fail(r)
	}
}

// fail counts a failed request by its cause.
func (x *exchange) fail(r *http.Request) {
	kind := failUpstream
	switch {
	case x.lease.member.conns.closed():
		kind = failCut
	case x.gone || r.Context().Err() != nil:
		kind = failCanceled
	}
	x.lease.pool.counted.fail(kind)
}

// fail is the proxy's error handler: there is no answer from the replica.
func (m *member) fail(w http.ResponseWriter, r *http.Request, err error) {
	x, _ := w.(*exchange)
	if _, refused := errors.AsType[*dialError](err); refused {
		x.refused = true
		return
	}
	x.fail(r)
	if x.upgraded == nil {
		// Past the exchange, which counts the replica's own 5xx.
		http.Error(x.ResponseWriter, "the replica did not answer", http.StatusBadGateway)
	}
}

// turnAway answers a request that no replica takes. Without a pool there was no
// environment to send it to.
func (x *exchange) turnAway(p *Pool, err error) {
	if p == nil {
		unrouted := x.front.router.unrouted
		x.count(unrouted)
		unrouted.fail(failNoTarget)
		x.Header().Set("Retry-After", "1")
		http.Error(x.ResponseWriter, err.Error(), http.StatusServiceUnavailable)
		return
	}
	x.count(p.counted)
	p.counted.fail(failRefused)
	http.Error(x.ResponseWriter, err.Error(), http.StatusBadGateway)
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *exchange) WriteHeader(status int) {
	if status >= http.StatusInternalServerError {
		x.lease.pool.counted.fail(failStatus)
	}
	x.left = 0
	if length := x.Header()["Content-Length"]; len(length) == 1 {
		// An invalid length never gets here: the transport refuses it.
		x.left, _ = strconv.ParseInt(length[0], 10, 64)
	}
	x.ResponseWriter.WriteHeader(status)
}

// Write passes on a part of an answer at once. The proxy itself flushes the
// answers of unknown length; the last part the server flushes when it ends.
func (x *exchange) Write(b []byte) (int, error) {
	n, err := x.ResponseWriter.Write(b)
	if err != nil {
		x.gone = true
		return n, err
	}
	if x.left -= int64(n); x.left > 0 {
		if f, ok := x.ResponseWriter.(http.Flusher); ok {
			f.Flush()
		}
	}
	return n, nil
}

// Hijack gives the client's connection away and keeps a hold on it: to wait for
// it in a shutdown, and to cut it together with the replica's.
func (x *exchange) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	// A shutdown must see it here before the server loses sight of it.
	x.front.upgradedLoad.enter()
	conn, buffered, err := http.NewResponseController(x.ResponseWriter).Hijack()
	if err != nil {
		x.front.upgradedLoad.leave()
		return nil, nil, err
	}
	x.upgraded = conn
	if !x.lease.member.conns.add(conn) || !x.front.upgraded.add(conn) {
		// Cut already. The proxy finds out by its first write.
		_ = conn.Close()
	}
	return conn, buffered, nil
}
