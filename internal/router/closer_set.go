// SPDX-License-Identifier: MPL-2.0

package router

import (
	"io"
	"net"
	"sync"
)

// closerSet holds open connections or listeners, to close them all at once.
type closerSet struct {
	mu     sync.Mutex
	closed bool
	open   map[io.Closer]struct{}
}

// add puts c into the set. After closeAll it returns false instead, and the
// caller has to close c.
func (s *closerSet) add(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	if s.open == nil {
		s.open = make(map[io.Closer]struct{})
	}
	s.open[c] = struct{}{}
	return true
}

func (s *closerSet) remove(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// closeAll closes everything in the set. Later calls of add return false.
func (s *closerSet) closeAll() {
	s.mu.Lock()
	open := s.open
	s.closed, s.open = true, nil
	s.mu.Unlock()
	for c := range open {
		// The user of c sees with its next call that c is closed.
		_ = c.Close()
	}
}

// closeOne closes something in the set, if there is anything.
func (s *closerSet) closeOne() {
	s.mu.Lock()
	var one io.Closer
	for one = range s.open {
		delete(s.open, one)
		break
	}
	s.mu.Unlock()
	if one != nil {
		// The user of it sees with its next call that it is closed.
		_ = one.Close()
	}
}

// isClosed reports whether closeAll was called.
func (s *closerSet) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// trackedConn leaves its set when it is closed. It embeds the concrete type to
// keep ReadFrom and CloseWrite.
type trackedConn struct {
	*net.TCPConn

	set *closerSet
}

func (c *trackedConn) Close() error {
	c.set.remove(c)
	return c.TCPConn.Close()
}
