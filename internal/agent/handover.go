// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// An agent that is started with -take-over takes over from its predecessor, the agent
// that serves the state directory. The predecessor passes its listening sockets and
// the lock of the directory to the successor over its own Unix socket, so that no
// connection is lost. If anything fails before the successor serves, the predecessor
// goes on. Afterwards the predecessor asks its clients to connect again, and ends.
// Until then the successor gives no lock, so that no ledger changes while the
// predecessor still routes.

const (
	// handoverTimeout bounds the time from the first message to the last.
	handoverTimeout = 30 * time.Second
	// retireTimeout is how long clients may take to connect again. Connections that
	// are idle for all that time are closed.
	retireTimeout = 10 * time.Second
	// shutdownTimeout bounds how long the predecessor runs after the hand-over. What is
	// still in flight then, such as a WebSocket, is closed.
	shutdownTimeout = 40 * time.Second
)

// The messages of the hand-over, one byte each. The predecessor sends a file with
// each of its messages.
const (
	messageReady    = 'r' // the successor is ready to receive files
	messageListener = 'l' // a listening socket
	messageLock     = 'k' // the lock of the directory, the last of the files
	messageServes   = 's' // the successor serves
)

// errProcesses is returned because only the parent of a process learns how it exits.
var errProcesses = errors.New("its replicas are processes that it started, and another agent cannot supervise them; " +
	"nothing has been changed: stop this agent and start the new one, which adopts them")

// postHandover hands everything over to the agent that asks for it.
func (a *agent) postHandover(w http.ResponseWriter, _ *http.Request) {
	if err := a.pause(); err != nil {
		a.log.Warn("another agent cannot take over", "error", err)
		answer(w, nil, err)
		return
	}
	successor, err := a.handOver(w)
	if err != nil {
		a.log.Warn("another agent has not taken over", "error", err)
		a.locks.resume()
		return
	}
	defer successor.Close()
	a.log.Info("another agent has taken over")
	a.hasHandedOver.Store(true)
	a.leave()
	<-a.ended
}

// pause ends all changes, or returns an error that says why that is not possible now.
func (a *agent) pause() error {
	if err := a.locks.pause(); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.deployments {
		for _, env := range d.environments {
			if len(env.instances()) > 0 {
				a.locks.resume()
				return errProcesses
			}
		}
	}
	return nil
}

// handOver returns the connection to the agent that has taken over.
func (a *agent) handOver(w http.ResponseWriter) (_ net.Conn, err error) {
	hijacked, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			hijacked.Close()
		}
	}()
	conn, ok := hijacked.(*net.UnixConn)
	if !ok {
		return nil, fmt.Errorf("%w: a hand-over needs a Unix socket", api.ErrInvalid)
	}
	if err := conn.SetDeadline(time.Now().Add(handoverTimeout)); err != nil {
		return nil, err
	}
	const upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bluegreen-handover\r\n\r\n"
	if _, err := conn.Write([]byte(upgraded)); err != nil {
		return nil, err
	}
	if err := expect(buffered.Reader, messageReady); err != nil {
		return nil, err
	}
	for _, listener := range a.listeners() {
		if err := sendFile(conn, messageListener, listener); err != nil {
			return nil, err
		}
	}
	if err := sendFile(conn, messageLock, a.lock); err != nil {
		return nil, err
	}
	return conn, expect(buffered.Reader, messageServes)
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
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.metrics != nil {
		list = append(list, a.metrics)
	}
	for _, d := range a.deployments {
		list = append(list, d.frontend.Listeners()...)
	}
	return list
}

// retire asks all clients to connect again, which then reach the successor.
func (a *agent) retire(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, retireTimeout)
	defer cancel()
	a.mu.Lock()
	defer a.mu.Unlock()
	var group sync.WaitGroup
	for _, d := range a.deployments {
		group.Go(func() { d.frontend.Retire(ctx) })
	}
	group.Wait()
}

// completeTakeover tells the predecessor, if any, that this agent serves. No lock is
// given until the predecessor has ended.
func (a *agent) completeTakeover() error {
	if a.predecessor == nil {
		return nil
	}
	awaitEnd, err := a.predecessor.confirm()
	if err != nil {
		return err
	}
	a.log.Info("taken over from the agent before")
	go func() {
		awaitEnd()
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
