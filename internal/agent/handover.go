// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// An agent that is started with -take-over takes over from its predecessor, the agent
// that serves the state directory, while that serves. Both work together over the Unix socket of
// the predecessor:
//
//   - The predecessor makes sure that nothing is changed from now on, and that no process is
//     started. It passes its listening sockets and the lock of the directory.
//   - The successor finds the replicas, and begins to serve. Both accept clients now.
//   - The successor says so. Until then nothing has changed for the predecessor: if anything
//     fails, it goes on.
//   - The predecessor lets go of the replicas: it reads their output no more and starts none. It
//     is a former agent from now on, see leave.go.
//   - The predecessor says so. The successor puts its socket in the place of the predecessor's, and
//     supervises the replicas.
//   - The successor says so, and gives locks. The predecessor closes its socket.
//
// So no connection is refused, no line of a replica's output is lost, and no replica is started
// twice.

// handoverTimeout bounds the time from the first message to the last.
const handoverTimeout = 30 * time.Second

// The messages of the hand-over, one byte each. The predecessor sends a file with
// each listener and with the lock.
const (
	messageReady    = 'r' // the successor is ready to receive files
	messageListener = 'l' // a listening socket
	messageLock     = 'k' // the lock of the directory, the last of the files
	messageServes   = 's' // the successor serves
	messageFormer   = 'f' // the predecessor is a former agent now
	messageAlone    = 'a' // as messageFormer, but the successor cannot ask it anything
	messagePlaced   = 'p' // the socket of the successor is in its place
)

// An agent of an earlier version takes over no replicas that are processes, and does not know
// former agents. It sends no handoverHeader, and as a predecessor answers without. Then the
// successor gives no lock until the predecessor has ended, which takes no longer than
// formerVersionTimeout.
const (
	handoverHeader       = "Bluegreen-Handover"
	handoverVersion      = "2"
	formerVersionTimeout = 40 * time.Second
)

// errOlderSuccessor is returned to an agent that would not supervise the replicas.
var errOlderSuccessor = errors.New("its replicas are processes, and the agent that is to take over is of an earlier " +
	"version, which cannot take over those; nothing has been changed: stop this agent and start the other one, " +
	"which adopts the replicas")

// postHandover hands everything over to the agent that asks for it.
func (a *agent) postHandover(w http.ResponseWriter, r *http.Request) {
	isOlder := r.Header.Get(handoverHeader) == ""
	if err := a.pause(isOlder); err != nil {
		a.log.Warn("another agent cannot take over", "error", err)
		answer(w, nil, err)
		return
	}
	startAgain := a.processes.Hold()
	successor, messages, err := a.handOver(w)
	if err != nil {
		a.log.Warn("another agent has not taken over", "error", err)
		startAgain()
		a.locks.resume()
		return
	}
	defer successor.Close()
	a.log.Info("another agent has taken over")
	a.hasHandedOver.Store(true)
	a.letGo()
	a.confirmLetGo(successor)
	if !isOlder {
		awaitPlaced(successor, messages)
	}
	a.closeDoors()
	if isOlder {
		a.leaveWithin = formerVersionTimeout
	}
	a.leave()
	<-a.ended
}

// confirmLetGo tells the successor that the replicas are its own now.
func (a *agent) confirmLetGo(successor net.Conn) {
	message := byte(messageFormer)
	if err := a.becomeFormer(); err != nil {
		a.log.Warn("the successor cannot ask this agent what is in flight, and gives no lock before it has ended",
			"error", err)
		message = messageAlone
	}
	if _, err := successor.Write([]byte{message}); err != nil {
		a.log.Warn("the successor has gone", "error", err)
	}
}

// placeTimeout is how long a successor may take to put its socket in its place.
const placeTimeout = 5 * time.Second

// awaitPlaced returns when the socket of the successor is in its place, or the successor has gone.
func awaitPlaced(successor net.Conn, messages *bufio.Reader) {
	// Whatever happens, this agent has nothing left to serve.
	_ = successor.SetReadDeadline(time.Now().Add(placeTimeout))
	_ = expect(messages, messagePlaced)
}

// pause ends all changes, or returns an error that says why that is not possible now.
func (a *agent) pause(isOlder bool) error {
	if err := a.dir.checkPresent(); err != nil {
		return err
	}
	if isOlder && a.hasProcesses() {
		return errOlderSuccessor
	}
	return a.locks.pause()
}

// hasProcesses reports whether replicas are processes of the agent.
func (a *agent) hasProcesses() bool {
	for _, d := range a.all() {
		for _, env := range d.environments {
			if len(env.instances()) > 0 {
				return true
			}
		}
	}
	return false
}

// handOver returns the connection to the agent that has taken over, and what comes from it.
func (a *agent) handOver(w http.ResponseWriter) (_ net.Conn, messages *bufio.Reader, err error) {
	hijacked, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			hijacked.Close()
		}
	}()
	conn, ok := hijacked.(*net.UnixConn)
	if !ok {
		return nil, nil, fmt.Errorf("%w: a hand-over needs a Unix socket", api.ErrInvalid)
	}
	if err := conn.SetDeadline(time.Now().Add(handoverTimeout)); err != nil {
		return nil, nil, err
	}
	const upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bluegreen-handover\r\n" +
		handoverHeader + ": " + handoverVersion + "\r\n\r\n"
	if _, err := conn.Write([]byte(upgraded)); err != nil {
		return nil, nil, err
	}
	if err := expect(buffered.Reader, messageReady); err != nil {
		return nil, nil, err
	}
	for _, listener := range a.listeners() {
		if err := sendFile(conn, messageListener, listener); err != nil {
			return nil, nil, err
		}
	}
	if err := sendFile(conn, messageLock, a.dir.lock.Load()); err != nil {
		return nil, nil, err
	}
	return conn, buffered.Reader, expect(buffered.Reader, messageServes)
}

// expect reads one message of the successor, or returns an error if it is another.
func expect(from *bufio.Reader, message byte) error {
	received, err := from.ReadByte()
	if err == nil && received != message {
		err = fmt.Errorf("expected the message %q, received %q", message, received)
	}
	return err
}

// listeners are the sockets of all deployments.
func (a *agent) listeners() (list []*net.TCPListener) {
	if a.metrics != nil {
		list = append(list, a.metrics)
	}
	for _, d := range a.all() {
		list = append(list, d.frontend.Listeners()...)
	}
	return list
}

// completeTakeover tells the predecessor, if any, that this agent serves, and supervises the
// replicas once the predecessor has let them go.
func (a *agent) completeTakeover(ctx context.Context) error {
	if a.predecessor == nil {
		return nil
	}
	if err := a.predecessor.confirm(); err != nil {
		return err
	}
	isFormer, err := a.predecessor.awaitLetGo(ctx, a.dir.Dir, a.log)
	if err != nil {
		return err
	}
	if err := os.Rename(a.dir.NextSocket(), a.dir.Socket()); err != nil {
		// Clients are served all the same.
		a.log.Error("no run of Terraform can find this agent: its socket is not in its place", "error", err)
	}
	a.predecessor.tellPlaced()
	a.log.Info("taken over from the agent before")
	a.beginSupervision()
	a.formers.find()
	for _, d := range a.all() {
		d.reroute()
	}
	if isFormer {
		a.predecessor.conn.Close()
		a.locks.resume()
		return nil
	}
	go func() {
		a.predecessor.awaitEnd()
		a.log.Info("the agent before has ended")
		a.locks.resume()
	}()
	return nil
}

// pause ends the giving of locks until resume is called. While a lock is held it
// returns a *bluegreen.LockedError.
func (l *locks) pause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, present := range l.held {
		return &bluegreen.LockedError{Holder: present.holder}
	}
	if l.paused {
		return api.ErrLeaving
	}
	l.paused = true
	return nil
}

func (l *locks) resume() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.paused = false
}
