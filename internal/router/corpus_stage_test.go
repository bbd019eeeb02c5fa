// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"context"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

// stream is one connection of a story, to the proxy or from it.
type stream struct {
	conn net.Conn
	// The stage's mutex guards what follows.
	in    []byte // what has come and has not been looked at
	total int    // how much has come in all
	ended bool   // The other side has closed, or reset, the connection.
	// isBegun is set while a message is looked at in parts, and seen counts the bytes of
	// its body that have been looked at.
	isBegun bool
	seen    int
	isHead  bool // The client's last request was HEAD.
}

// stage is where a story is played: a proxy, and both sides of it as bare connections.
type stage struct {
	front    string // the proxy's address
	listener net.Listener
	patience time.Duration // how long something that should happen may take
	// failures returns how many failures the proxy has counted for the replica; nil if
	// nobody knows.
	failures func() int

	mu       sync.Mutex
	changed  chan struct{} // closed at the next change
	clients  map[string]*stream
	replicas []*stream // in the order in which the proxy connected
	closed   bool
	pumps    sync.WaitGroup

	// The steps of a story are played one after the other; these belong to them alone.
	current *stream // the connection of the last request
	probed  *stream // the connection of the last probe
}

// newStage takes connections of the proxy over l from now on. The listener is closed at the end.
func newStage(l net.Listener, patience time.Duration) *stage {
	s := &stage{
		listener: l, patience: patience, changed: make(chan struct{}), clients: map[string]*stream{},
	}
	s.pumps.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.change(func() {
				if s.closed {
					conn.Close()
					return
				}
				s.replicas = append(s.replicas, s.pump(conn))
			})
		}
	})
	return s
}

// change makes a change, and wakes who waits for one.
func (s *stage) change(do func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	do()
	close(s.changed)
	s.changed = make(chan struct{})
}

// pump reads what comes over a connection.
func (s *stage) pump(conn net.Conn) *stream {
	c := &stream{conn: conn}
	s.pumps.Go(func() {
		buffer := make([]byte, 64<<10)
		for {
			n, err := conn.Read(buffer)
			s.change(func() {
				c.in = append(c.in, buffer[:n]...)
				c.total += n
				c.ended = err != nil
			})
			if err != nil {
				return
			}
		}
	})
	return c
}

// wait returns true when done does, and false when the patience is over. It calls done
// with the stage locked.
func (s *stage) wait(done func() bool) bool {
	over := time.NewTimer(s.patience)
	defer over.Stop()
	for {
		s.mu.Lock()
		ok, changed := done(), s.changed
		s.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-changed:
		case <-over.C:
			return false
		}
	}
}

// client returns the connection of the client with this name, and opens it the first time.
func (s *stage) client(name string) (*stream, error) {
	s.mu.Lock()
	c := s.clients[name]
	s.mu.Unlock()
	if c != nil {
		return c, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), s.patience)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.front)
	if err != nil {
		return nil, err
	}
	s.change(func() {
		c = s.pump(conn)
		s.clients[name] = c
	})
	return c, nil
}

// forget makes the next use of a client's name a new connection.
func (s *stage) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c := s.clients[name]; c != nil {
		c.conn.Close()
		delete(s.clients, name)
	}
}

// close ends all connections, and returns when nothing of the stage runs any more.
func (s *stage) close() {
	s.listener.Close()
	s.mu.Lock()
	s.closed = true
	for _, c := range s.clients {
		c.conn.Close()
	}
	for _, c := range s.replicas {
		c.conn.Close()
	}
	s.mu.Unlock()
	s.pumps.Wait()
}

// nextRequest returns the connection on which a request has come, nil for none. It needs
// the whole request, or with headOnly only its head.
func (s *stage) nextRequest(headOnly bool) (*stream, *message) {
	for _, c := range s.replicas {
		if c.isBegun {
			continue
		}
		if m := parseMessage(c.in, false, false, c.ended); m != nil && (m.isWhole || m.isFaulty || headOnly) {
			return c, m
		}
	}
	return nil, nil
}

// nextAnswer returns the answer that has come to a client, nil for none. It passes over
// interim answers, unless they are asked for.
func (c *stream) nextAnswer(wantInterim bool) *message {
	for {
		m := parseMessage(c.in, true, c.isHead, c.ended)
		if m == nil || wantInterim || !strings.HasPrefix(m.start, "1") || m.start == "101" {
			return m
		}
		c.in = c.in[m.size:]
	}
}

// number returns the number of the replica's connection, from 1.
func (s *stage) number(c *stream) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Index(s.replicas, c) + 1
}
