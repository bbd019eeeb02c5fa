// SPDX-License-Identifier: MPL-2.0

package router

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync/atomic"
	"time"
)

// continueTimeout is how long a replica may take to ask for a body that its client sends
// only when asked (Expect: 100-continue). Many never do, and then it is sent all the same.
const continueTimeout = time.Second

var (
	errLongBody = errors.New("the body is too long")
	// errNotSent means that the answer came before the body was sent.
	errNotSent = errors.New("the body was not sent")
)

// upload sends the body of a request, while the answer is passed on already.
type upload struct {
	conn    *replicaConn
	request *http.Request
	// limit is how many bytes the body may have, 0 for any number.
	limit int64
	// asked is closed when the replica asks for the body; nil if it need not. isAsked says
	// so to the reader of the answer.
	asked   chan struct{}
	isAsked bool
	// quit is closed when the body is of no use any more.
	quit chan struct{}
	done chan struct{}
	// isReceived is set once the client has sent the whole body, before the replica can
	// have it.
	isReceived atomic.Bool
	// clientError is why the client's body cannot be sent. It is set before the connection
	// to the replica is closed for that.
	clientError atomic.Pointer[error]
	// err may be read when done is closed. It is nil if the whole body has been sent.
	err error
}

// startUpload sends the body of a request whose head is in the buffer of conn.
func startUpload(conn *replicaConn, r *http.Request, s *Settings) *upload {
	u := &upload{
		conn: conn, request: r, limit: s.MaxBody,
		quit: make(chan struct{}), done: make(chan struct{}),
	}
	if isListed(r.Header["Expect"], "100-continue") {
		u.asked = make(chan struct{})
	}
	go func() {
		defer close(u.done)
		u.err = u.send()
		if errors.Is(u.err, os.ErrDeadlineExceeded) {
			// The replica does not read. Its answer is not waited for.
			u.conn.endWait()
			return
		}
		u.conn.limitSilence()
	}()
	return u
}

// ask lets the body be sent. The replica may ask more than once.
func (u *upload) ask() {
	if u != nil && u.asked != nil && !u.isAsked {
		close(u.asked)
		u.isAsked = true
	}
}

// send returns an error unless the whole body was sent.
func (u *upload) send() error {
	if err := u.flush(); err != nil {
		return err
	}
	if err := u.awaitTurn(u.asked); err != nil {
		return err
	}
	buf := copyBuffers.get()
	defer copyBuffers.put(buf)
	w, isChunked := requestWriter{u.conn.w}, u.request.ContentLength < 0
	for sent := int64(0); ; {
		n, err := u.request.Body.Read(buf[:])
		if err == io.EOF { //nolint:errorlint // what Read is documented to return
			u.isReceived.Store(true)
		}
		if sent += int64(n); u.limit > 0 && sent > u.limit {
			err = errLongBody
		}
		switch {
		case err != nil && err != io.EOF: //nolint:errorlint // as above
			u.clientError.Store(&err)
			return errors.Join(err, u.conn.Close())
		case isChunked && n > 0:
			w.chunk(buf[:n])
		case n > 0:
			_, _ = w.Write(buf[:n])
		}
		if err != nil && isChunked {
			w.end(u.request.Trailer)
		}
		if flushErr := u.flush(); flushErr != nil || err != nil {
			return flushErr
		}
	}
}

func (u *upload) flush() error {
	u.conn.limitWrite()
	return u.conn.w.Flush()
}

// awaitTurn returns nil when the body may be sent.
func (u *upload) awaitTurn(asked <-chan struct{}) error {
	if asked == nil {
		return nil
	}
	timer := time.NewTimer(continueTimeout)
	defer timer.Stop()
	select {
	case <-asked:
	case <-timer.C:
	case <-u.quit:
		return errNotSent
	}
	return nil
}

// isSent reports whether the whole body has been sent. Call it when the answer has come.
func (u *upload) isSent() bool {
	if u == nil {
		return true
	}
	select {
	case <-u.done:
		return u.err == nil
	default:
		return false
	}
}

// hasWholeBody reports whether the client has sent all of its body.
func (u *upload) hasWholeBody() bool { return u == nil || u.isReceived.Load() }

// cause returns why the client's body could not be sent, nil if that is not the cause.
func (u *upload) cause() error {
	if u == nil {
		return nil
	}
	if err := u.clientError.Load(); err != nil {
		return *err
	}
	return nil
}

// lastWriteTimeout is how long the end of a body may still take to be sent once the answer
// has come.
const lastWriteTimeout = 100 * time.Millisecond

// lingerTimeout is how long the rest of a body is waited for that is of no use any more,
// so that the client reads the answer before its connection is closed.
const lingerTimeout = time.Second

// stop ends the upload. Afterwards nothing reads the client's body. If the client has not
// sent all of it, its connection has to be closed after the answer.
func (u *upload) stop(w http.ResponseWriter) {
	if u == nil || u.isSent() {
		return
	}
	close(u.quit)
	if u.isReceived.Load() {
		// The replica has answered, so it most likely has the whole body.
		_ = u.conn.SetWriteDeadline(time.Now().Add(lastWriteTimeout))
		<-u.done
		_ = u.conn.SetWriteDeadline(time.Time{})
		return
	}
	_ = u.conn.Close()
	control := http.NewResponseController(w)
	// An error means that the client has gone, which ends the reading too.
	_ = control.SetReadDeadline(time.Now())
	<-u.done
	_ = control.SetReadDeadline(time.Now().Add(lingerTimeout))
}
