// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"context"
	"sync"
	"sync/atomic"
)

const (
	// perClient is how many descriptors a client takes: its own connection, and one to a replica.
	perClient = 2
	// perStream is how many a further request over HTTP/2 takes: a connection to a replica.
	perStream = 1
	// perSplice is how many the kernel needs to copy from one connection to another: a pipe.
	perSplice = 2
)

// Descriptors are the file descriptors that the clients of all deployments share. It is safe
// for concurrent use.
//
// An environment whose clients use as many as are free gets no more. So one alone gets half of
// them, two get a third each, and there always are some for the clients of another one.
type Descriptors struct {
	mu   sync.Mutex
	free int
	// changed is closed when a client may fit that did not before.
	changed chan struct{}
}

// NewDescriptors returns n descriptors.
func NewDescriptors(n int) *Descriptors { return &Descriptors{free: n, changed: make(chan struct{})} }

// share is what the clients of one environment use of the descriptors.
type share struct {
	of *Descriptors
	// The fields below are guarded by of.mu. limit is how many clients there may be, 0 for no
	// limit of their own.
	limit, clients, used int
	// waiting counts the clients that wait to be admitted.
	waiting atomic.Int64
}

func (d *Descriptors) newShare() *share { return &share{of: d} }

// setLimit changes how many clients there may be. It disconnects none.
func (s *share) setLimit(clients int) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.limit = clients
	s.of.wake()
}

// clientsAndLimit returns how many clients there are, and how many there may be, 0 for no limit
// of their own.
func (s *share) clientsAndLimit() (clients, limit int) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.clients, s.limit
}

// admit waits until there is room for one more client, and calls makeRoom before each wait. It
// returns false if ended is closed before.
func (s *share) admit(ended <-chan struct{}, makeRoom func()) bool {
	s.waiting.Add(1)
	defer s.waiting.Add(-1)
	try := func() (isAdmitted bool, changed <-chan struct{}) {
		if isAdmitted, changed = s.tryAdmit(); !isAdmitted {
			makeRoom()
		}
		return isAdmitted, changed
	}
	return await(try, ended)
}

// isCrowded reports whether clients wait to be admitted.
func (s *share) isCrowded() bool { return s.waiting.Load() > 0 }

// admitStream waits until there is room for one more request over HTTP/2, and returns what must
// be called when it is over. It returns false if ctx ends before.
func (s *share) admitStream(ctx context.Context) (leave func(), ok bool) {
	return func() { s.release(perStream) }, await(s.tryAdmitStream, ctx.Done())
}

// await calls try until it succeeds. It returns false if ended is closed before.
func await(try func() (isAdmitted bool, changed <-chan struct{}), ended <-chan struct{}) bool {
	for {
		isAdmitted, changed := try()
		if isAdmitted {
			return true
		}
		select {
		case <-changed:
		case <-ended:
			return false
		}
	}
}

// tryAdmit returns a channel that is closed when it is worth another try.
func (s *share) tryAdmit() (isAdmitted bool, changed <-chan struct{}) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if (s.limit > 0 && s.clients >= s.limit) || !s.take(perClient) {
		return false, s.of.changed
	}
	s.clients++
	return true, nil
}

// tryAdmitStream is tryAdmit for a request over HTTP/2.
func (s *share) tryAdmitStream() (isAdmitted bool, changed <-chan struct{}) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.take(perStream), s.of.changed
}

// leave is called when a client that was admitted has disconnected.
func (s *share) leave() {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.clients--
	s.put(perClient)
}

// trySplice reports whether there are descriptors for the kernel to copy with. If so,
// endSplice must be called.
func (s *share) trySplice() bool {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	return s.take(perSplice)
}

func (s *share) endSplice() { s.release(perSplice) }

// release gives n descriptors back.
func (s *share) release(n int) {
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	s.put(n)
}

// take takes n descriptors unless more would then be used than are free. Its caller holds of.mu.
func (s *share) take(n int) bool {
	if s.used+n > s.of.free {
		return false
	}
	s.used += n
	s.of.free -= n
	return true
}

// put gives n descriptors back. Its caller holds of.mu.
func (s *share) put(n int) {
	s.used -= n
	s.of.free += n
	s.of.wake()
}

// wake has everybody who waits try again. Its caller holds mu.
func (d *Descriptors) wake() {
	close(d.changed)
	d.changed = make(chan struct{})
}
