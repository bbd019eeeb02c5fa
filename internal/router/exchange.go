// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"errors"
	"net/http"
	"os"
	"sync"
	"time"
)

// exchange is one request of a client with its answer.
type exchange struct {
	http.ResponseWriter

	frontend *httpFrontend
	request  *http.Request
	settings *Settings
	choice   choice
	assignment
	// isCounted is set once the request is in the metrics.
	isCounted bool
	// isFailed is set once the failure is in the metrics.
	isFailed bool
	// isCut is set when the answer cannot be finished: the client's connection is closed.
	isCut bool
	// sent counts how often the request was sent, or a part of it.
	sent int
	// isAnswered is set once something of an answer has come.
	isAnswered bool
	// upload sends the body of the request, nil if it has none.
	upload *upload

	begun     time.Time
	requestID string
	// status and written are those of the answer, 0 before it begins.
	status  int
	written int64
}

func (f *httpFrontend) newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	return &exchange{
		ResponseWriter: w, frontend: f, request: r, settings: f.router.settings.Load(),
		begun: time.Now(), requestID: requestIDOf(r),
	}
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader begins the answer. A status of 1xx is followed by another one.
func (x *exchange) WriteHeader(status int) {
	x.status = status
	if status >= http.StatusOK && x.frontend.closesAfter(x.request) {
		x.Header().Set("Connection", "close")
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(b []byte) (int, error) {
	n, err := x.ResponseWriter.Write(b)
	x.written += int64(n)
	return n, err
}

// end counts and logs the exchange. Who waits until nothing is in flight relies on it to be
// called before that.
func (x *exchange) end() {
	duration := time.Since(x.begun)
	if x.pool != nil {
		x.pool.durations.observe(duration)
	}
	if log := x.settings.AccessLog; log != nil {
		log.write(x, duration)
	}
}

// serve offers the request to one upstream after the other until one accepts it.
func (x *exchange) serve() {
	for {
		a, err := x.frontend.router.acquire(&x.choice)
		if err != nil {
			x.reject(a.pool, err)
			return
		}
		if isOver := x.try(a); isOver {
			return
		}
		x.choice.refused = append(x.choice.refused, a.upstream)
	}
}

// try sends the request to an upstream and passes its answer on. It reports whether the
// exchange is over; if not, another upstream is to be asked.
func (x *exchange) try(a assignment) (isOver bool) {
	x.assignment = a
	defer func() {
		if isOver {
			x.end()
		}
		a.release()
	}()
	x.countRequest(a.pool.counters)
	if limit := x.settings.MaxBody; limit > 0 && x.request.ContentLength > limit {
		x.failForClient(errLongBody)
		return true
	}
	if isGRPC(x.request) {
		return x.tryHTTP2()
	}
	for {
		// Whatever is sent once more goes out on a fresh connection.
		conn, err := a.upstream.connect(x.request.Context(), x.sent > 0)
		if err != nil {
			return x.handleDialError(err)
		}
		if isOver := x.exchangeOn(conn); isOver {
			return true
		}
	}
}

// handleDialError reports whether the exchange is over.
func (x *exchange) handleDialError(err error) (isOver bool) {
	_, isRefused := errors.AsType[*dialError](err)
	if !isRefused || x.request.Context().Err() != nil {
		x.fail(errNoAnswer)
		return true
	}
	x.upstream.noteFailure(errRefusedConnection)
	return false
}

// exchangeOn sends the request on a connection and passes the answer on. It reports whether
// the exchange is over; if not, the request is to be sent once more, on a fresh connection.
func (x *exchange) exchangeOn(conn *replicaConn) (isOver bool) {
	x.sent++
	stop := context.AfterFunc(x.request.Context(), func() { _ = conn.Close() })
	conn.begin(x.settings.ResponseTimeout)
	upgrade := requestedUpgrade(x.request)
	requestWriter{conn.w}.head(x, upgrade)
	var err error
	if x.request.ContentLength != 0 {
		x.receiveWhileAnswering()
		x.upload = startUpload(conn, x.request, x.settings)
	} else if err = conn.w.Flush(); err == nil {
		conn.limitSilence()
	}
	res, err := x.awaitHead(conn, err)
	if err != nil {
		_ = conn.Close()
		stop()
		if x.canSendAgain(conn, err) {
			return false
		}
		x.failBeforeAnswer(err)
		return true
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		defer stop()
		x.passUpgrade(conn, res, upgrade)
		return true
	}
	isWhole := x.passAnswer(conn, res)
	x.upload.stop(x)
	hasStayed := stop()
	if isWhole && hasStayed && x.canKeep(conn, res) {
		x.upstream.idle.put(conn)
	} else {
		_ = conn.Close()
	}
	return true
}

// receiveWhileAnswering lets the body come in while the answer goes out. Otherwise
// net/http reads the rest of the body before it writes the head.
func (x *exchange) receiveWhileAnswering() {
	// An error means HTTP/2, which always can.
	_ = http.NewResponseController(x).EnableFullDuplex()
}

// awaitHead returns the head of the answer. Informational ones before it are passed on.
func (x *exchange) awaitHead(conn *replicaConn, err error) (*http.Response, error) {
	if err != nil {
		return nil, &silenceError{err}
	}
	for {
		res, err := conn.readHead(x.request)
		if err != nil {
			return nil, err
		}
		x.isAnswered = true
		switch {
		case res.StatusCode == http.StatusContinue:
			// The server itself asks the client when the body is read.
			x.upload.ask()
		case res.StatusCode == http.StatusSwitchingProtocols, res.StatusCode >= http.StatusOK:
			conn.endSilence()
			return res, nil
		default:
			x.passInformation(res)
		}
	}
}

// canSendAgain reports whether a request that got no answer may be sent once more. A
// replica may close an idle connection at the moment when a request comes on it. So a
// request is sent again if its connection was idle before, nothing of an answer came, and
// it changes nothing (RFC 9110 9.2.1). A repeated one is not repeated (9.2.2).
func (x *exchange) canSendAgain(conn *replicaConn, err error) bool {
	wasTried := !conn.isReused || x.sent > 1 || x.isAnswered
	isOver := x.request.Context().Err() != nil || x.upstream.conns.isClosed() || errors.Is(err, os.ErrDeadlineExceeded)
	if wasTried || isOver || x.request.ContentLength != 0 {
		return false
	}
	_, isSilence := errors.AsType[*silenceError](err)
	switch x.request.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return isSilence
	}
	return false
}

// canKeep reports whether another exchange may use the connection: exactly the bytes of one
// answer came, and no others are likely to follow. Services that answer HEAD as if it were
// GET are common, and so are those that send a body after a status that has none. Such a
// body may come later than this question.
func (x *exchange) canKeep(conn *replicaConn, res *http.Response) bool {
	hasNoBody := res.StatusCode == http.StatusNoContent || res.StatusCode == http.StatusNotModified
	// For such a status net/http has set the length to 0.
	length := res.Header.Get("Content-Length")
	announcesBody := length != "" && length != "0" || len(res.TransferEncoding) > 0
	mayFollow := x.request.Method == http.MethodHead || hasNoBody && announcesBody
	return !res.Close && !mayFollow && x.upload.isSent() && !conn.hasMore()
}

func (x *exchange) countRequest(c *counters) {
	if !x.isCounted {
		x.isCounted = true
		c.requests.Inc()
	}
}

// bufferSize is the size of the buffers that bodies are copied through.
const bufferSize = 32 << 10

// bufferPool lends buffers.
type bufferPool struct{ pool sync.Pool }

var copyBuffers = &bufferPool{pool: sync.Pool{New: func() any { return new([bufferSize]byte) }}}

func (p *bufferPool) get() *[bufferSize]byte {
	b, _ := p.pool.Get().(*[bufferSize]byte)
	return b
}

func (p *bufferPool) put(b *[bufferSize]byte) { p.pool.Put(b) }
