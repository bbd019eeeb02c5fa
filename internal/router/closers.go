// SPDX-License-Identifier: MPL-2.0

package router

import (
	"io"
	"net"
	"sync"
)

// closers holds what is open so that it can be closed all at once.
type closers struct {
	mu   sync.Mutex
	shut bool
	open map[io.Closer]struct{}
}

// add remembers c. After closeAll it returns false, and c is the caller's to close.
func (s *closers) add(c io.Closer) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.shut {
		return false
	}
	if s.open == nil {
		s.open = make(map[io.Closer]struct{})
	}
	s.open[c] = struct{}{}
	return true
}

func (s *closers) remove(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// closeAll closes everything in the set and lets nothing in any more.
func (s *closers) closeAll() {
	s.mu.Lock()
	open := s.open
	s.shut, s.open = true, nil
	s.mu.Unlock()
	for c := range open {
		// Whoever used it learns from its own next call that it is closed.
		_ = c.Close()
	}
}

func (s *closers) closed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.shut
}

// trackedConn leaves its set when it is closed. It embeds the concrete type to
// keep ReadFrom and CloseWrite.
type trackedConn struct {
	*net.TCPConn

	set *closers
}

func (c *trackedConn) Close() error {
	c.set.remove(c)
	return c.TCPConn.Close()
}
