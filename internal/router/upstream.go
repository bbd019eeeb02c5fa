// SPDX-License-Identifier: MPL-2.0

package router

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	// idleTimeout is shorter than the 5 s after which Node and others close an
	// idle connection. If the replica closed first, a request could be lost that
	// is already on its way.
	idleTimeout = 4 * time.Second
	// downTime is how long a replica that refused a connection is passed over
	// before it is tried again.
	downTime = time.Second
	// maxIdle is how many idle connections to one replica are kept. With fewer,
	// a busy router dials for every other request.
	maxIdle = 1024
)

// errCut is the error of a request whose connections CloseConnections has closed.
var errCut = errors.New("the connection to the replica was closed by the router")

// dialError means that a replica could not be connected to. Nothing has been
// sent yet, so the request may go to another replica.
type dialError struct {
	id  string
	err error
}

func (e *dialError) Error() string { return fmt.Sprintf("replica %s: %v", e.id, e.err) }
func (e *dialError) Unwrap() error { return e.err }

// upstream is one backend of a pool with its connections.
type upstream struct {
	Backend

	inFlight inFlight
	conns    closerSet
	// downUntil is when to try a replica again that refused a connection, in
	// nanoseconds since epoch; 0 for one that has not refused.
	downUntil atomic.Int64
	// failedInARow counts the failed requests since the last that was answered.
	failedInARow atomic.Int64
	dialer       Dialer
	report       FailureReport
	answers      answerCounters
	// Each upstream has connections of its own. After a cut there is then no other
	// connection, idle or just dialed, on which a request could be sent again.
	idle  idleConns
	http2 *http.Transport
}

func newUpstream(b Backend, dial Dialer, report FailureReport, answers answerCounters) *upstream {
	if dial == nil {
		dial = func(ctx context.Context, b Backend) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", b.Addr)
		}
	}
	u := &upstream{Backend: b, dialer: dial, report: report, answers: answers}
	u.http2 = u.newHTTP2Transport()
	return u
}

// dial connects to the replica. Its error is a *dialError, or errCut.
func (u *upstream) dial(ctx context.Context) (*net.TCPConn, error) {
	if u.conns.isClosed() {
		return nil, errCut
	}
	inTime, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, err := u.dialer(inTime, u.Backend)
	if err != nil {
		if ctx.Err() == nil {
			u.markDown()
		}
		return nil, &dialError{id: u.ID, err: err}
	}
	u.downUntil.Store(0)
	return conn.(*net.TCPConn), nil //nolint:forcetypeassert // what a Dialer returns
}

// noteFailure counts a request that the replica has failed.
func (u *upstream) noteFailure(cause error) {
	n := u.failedInARow.Add(1)
	if u.report != nil {
		u.report(u.Backend, int(n), cause)
	}
}

// noteAnswer ends a row of failures. It only reads while there is none, so that busy
// requests do not contend.
func (u *upstream) noteAnswer() {
	if u.failedInARow.Load() != 0 {
		u.failedInARow.Store(0)
	}
}

// epoch is what downUntil counts from. It has a monotonic reading, so setting the
// clock changes nothing.
var epoch = time.Now()

func (u *upstream) markDown() { u.downUntil.Store(int64(time.Since(epoch) + downTime)) }

// isDown reports whether the replica refused its last connection. When its
// downTime is over, isDown starts a probe: it connects in the background, without
// a request, because a machine that is gone can take seconds to refuse, and no
// client should wait for that.
func (u *upstream) isDown() bool {
	until := u.downUntil.Load()
	if until == 0 {
		return false
	}
	// The swap keeps others from probing as well while this probe runs.
	if now := time.Since(epoch); int64(now) >= until && u.downUntil.CompareAndSwap(until, int64(now+dialTimeout)) {
		go u.probe()
	}
	return true
}

// probe connects to the replica and sends nothing.
func (u *upstream) probe() {
	if conn, err := u.dial(context.Background()); err == nil {
		_ = conn.Close()
	}
}

// closeIdle closes the idle connections now, and the busy ones as they become idle.
func (u *upstream) closeIdle() {
	u.idle.close()
	u.http2.CloseIdleConnections()
}

// cut closes every connection; the upstream dials no more.
func (u *upstream) cut() {
	u.conns.closeAll()
	u.inFlight.discard()
	u.closeIdle()
}
