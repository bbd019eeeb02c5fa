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

// An agent that is started with -take-over gets everything from the one that
// serves its state directory, over that one's socket: the very sockets that
// clients connect to, so that no connection is lost between the two, and the lock
// of the directory. Until the new one says that it serves, the former goes on if
// anything fails. Then the former has its clients go and ends. Nothing can be
// changed before it has, so that it never routes by a ledger of yesterday.

const (
	// handoverTimeout bounds the time from the first word to the last.
	handoverTimeout = 30 * time.Second
	// retireTimeout is how long clients may take to go by themselves. Those that
	// ask for nothing in that time are hung up on.
	retireTimeout = 10 * time.Second
	// farewellTimeout is how long the former may be there in all: what is still in
	// flight then, such as a WebSocket, is cut.
	farewellTimeout = 40 * time.Second
)

// What the two say to each other, each word in a byte. The former sends a file
// along with each of its own.
const (
	wordReady    = 'r' // the new one is about to take files
	wordListener = 'l' // a socket that clients connect to
	wordLock     = 'k' // the lock of the directory, the last of the files
	wordServes   = 's' // the new one serves
)

// errProcesses: processes have only one parent, who alone learns how they end.
var errProcesses = errors.New("it runs replicas as its own processes, which no other agent can watch as it does")

// postHandover gives everything to the agent that asks for it.
func (a *agent) postHandover(w http.ResponseWriter, _ *http.Request) {
	if err := a.pause(); err != nil {
		a.log.Warn("another agent cannot take over", "error", err)
		answer(w, nil, err)
		return
	}
	heir, err := a.handOver(w)
	if err != nil {
		a.log.Warn("another agent has not taken over", "error", err)
		a.locks.resume()
		return
	}
	defer heir.Close()
	a.log.Info("another agent has taken over")
	a.hasHandedOver.Store(true)
	a.leave()
	<-a.ended
}

// pause ends all changes, or says why that is not possible now.
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
		return nil, fmt.Errorf("%w: only by a Unix socket can files be handed over", api.ErrInvalid)
	}
	if err := conn.SetDeadline(time.Now().Add(handoverTimeout)); err != nil {
		return nil, err
	}
	const upgraded = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: bluegreen-handover\r\n\r\n"
	if _, err := conn.Write([]byte(upgraded)); err != nil {
		return nil, err
	}
	if err := hear(buffered.Reader, wordReady); err != nil {
		return nil, err
	}
	for _, listener := range a.listeners() {
		if err := sendFile(conn, wordListener, listener); err != nil {
			return nil, err
		}
	}
	if err := sendFile(conn, wordLock, a.lock); err != nil {
		return nil, err
	}
	return conn, hear(buffered.Reader, wordServes)
}

// hear waits for a word of the agent that takes over.
func hear(from *bufio.Reader, word byte) error {
	said, err := from.ReadByte()
	if err == nil && said != word {
		err = fmt.Errorf("it says %q where %q was expected", said, word)
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

// retire lets clients go, for the agent that has taken over to have them.
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

// completeTakeover tells the agent that this one takes over from, if any, that this one
// serves. Nothing is changed until that has ended.
func (a *agent) completeTakeover() error {
	if a.predecessor == nil {
		return nil
	}
	gone, err := a.predecessor.accept()
	if err != nil {
		return err
	}
	a.log.Info("taken over from the agent before")
	go func() {
		gone()
		a.log.Info("the agent before has ended")
		a.locks.resume()
	}()
	return nil
}

// pause ends the giving of locks until resume is called. While a lock is held it
// returns a *bluegreen.HolderError.
func (l *locks) pause() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, present := range l.held {
		return &bluegreen.HolderError{Holder: present.holder}
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
