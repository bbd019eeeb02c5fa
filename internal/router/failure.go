// SPDX-License-Identifier: MPL-2.0

package router

import (
	"errors"
	"fmt"
	"net"
	"net/http"
)

// How a replica fails one request.
var (
	errRefusedConnection = errors.New("the connection was refused")
	errNoAnswer          = errors.New("the connection was closed without an answer")
	errMalformed         = errors.New("the answer is malformed")
	errSilent            = errors.New("the answer did not come in time")
	errBrokenOff         = errors.New("the answer broke off")
)

// failBeforeAnswer answers a request for which the replica's answer did not come.
func (x *exchange) failBeforeAnswer(err error) {
	// To stop the upload ends the context of the request, which tells who has broken off.
	defer x.upload.stop(x)
	if cause := x.upload.cause(); cause != nil {
		x.failForClient(cause)
		return
	}
	netErr, isNetwork := errors.AsType[net.Error](err)
	_, isSilence := errors.AsType[*silenceError](err)
	switch {
	case isNetwork && netErr.Timeout():
		x.fail(errSilent)
	case isSilence || isNetwork || errors.Is(err, net.ErrClosed):
		x.fail(errNoAnswer)
	default:
		x.fail(errMalformed)
	}
}

// failForClient answers a request whose body cannot be passed on.
func (x *exchange) failForClient(cause error) {
	x.closeAfterwards()
	switch {
	case x.request.Context().Err() != nil:
		x.countFailure(failCanceled)
		x.giveUp()
	case errors.Is(cause, errLongBody):
		x.countFailure(failClient)
		x.rejectLongBody()
	default:
		x.countFailure(failClient)
		http.Error(x, "the body of the request is malformed", http.StatusBadRequest)
	}
}

// closeAfterwards has the client's connection closed after the answer, because the rest of a
// body may still come. With HTTP/2 that ends its stream only.
func (x *exchange) closeAfterwards() {
	if x.request.ProtoMajor == 1 {
		x.Header().Set("Connection", "close")
	}
}

func (x *exchange) rejectLongBody() {
	text := fmt.Sprintf("the body of the request is longer than %d bytes", x.settings.MaxBody)
	http.Error(x, text, http.StatusRequestEntityTooLarge)
}

// fail answers a request that the replica has failed.
func (x *exchange) fail(cause error) {
	x.noteFailure(cause)
	if x.request.Context().Err() != nil {
		x.giveUp()
		return
	}
	if !x.upload.hasWholeBody() {
		x.closeAfterwards()
	}
	switch {
	case errors.Is(cause, errSilent):
		text := fmt.Sprintf("the replica did not answer within %s", x.settings.ResponseTimeout)
		http.Error(x, text, http.StatusGatewayTimeout)
	case errors.Is(cause, errMalformed):
		http.Error(x, "the answer of the replica is malformed", http.StatusBadGateway)
	default:
		http.Error(x, "the replica did not answer", http.StatusBadGateway)
	}
}

// giveUp closes the connection of a client that has gone. If it still listens, it must not
// get an empty answer that looks like a good one.
func (x *exchange) giveUp() { x.status, x.isCut = statusClientGone, true }

// statusClientGone is what nginx logs for a client that did not wait for its answer.
const statusClientGone = 499

// noteFailure counts a failure, and holds it against the replica if neither the client nor
// the router has broken off.
func (x *exchange) noteFailure(cause error) {
	switch {
	case x.upstream.conns.isClosed():
		x.countFailure(failCut)
	case x.request.Context().Err() != nil:
		x.countFailure(failCanceled)
	case x.upload.cause() != nil:
		x.countFailure(failClient)
	default:
		kind := failUpstream
		if errors.Is(cause, errSilent) {
			kind = failTimeout
		}
		x.countFailure(kind)
		x.upstream.noteFailure(cause)
	}
}

func (x *exchange) countFailure(kind failure) {
	x.isFailed = true
	x.pool.counters.countFailure(kind)
}

// reject answers a request that no upstream takes. p is nil if there was none.
func (x *exchange) reject(p *Pool, err error) {
	x.assignment = assignment{pool: p}
	defer x.end()
	if p == nil {
		withoutPool := x.frontend.router.withoutPool
		x.countRequest(withoutPool)
		withoutPool.countFailure(failNoPool)
		x.Header().Set("Retry-After", "1")
		http.Error(x, err.Error(), http.StatusServiceUnavailable)
		return
	}
	x.countRequest(p.counters)
	p.counters.countFailure(failRefused)
	http.Error(x, err.Error(), http.StatusBadGateway)
}
