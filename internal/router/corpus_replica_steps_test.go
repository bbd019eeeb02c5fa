// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"
)

func (s *stage) replicaCloses(who string, reset bool) string {
	c := s.replica(who)
	if c == nil {
		return "has no connection"
	}
	if tcp, ok := c.conn.(*net.TCPConn); ok && reset {
		_ = tcp.SetLinger(0)
	}
	c.conn.Close()
	return ""
}

// replicaGets waits for a request, whole or its head, on whatever connection, and compares it.
func (s *stage) replicaGets(want string, headOnly bool) string {
	var m *message
	var c *stream
	s.wait(func() bool {
		c, m = s.nextRequest(headOnly)
		return m != nil || s.isAnswered()
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if m == nil {
		for who, c := range s.clients {
			if a := c.nextAnswer(false); a != nil || c.ended {
				return fmt.Sprintf("gets nothing, %s gets %s", who, s.describe(c, a))
			}
		}
		return "gets nothing"
	}
	s.current, s.probed, c.isHead = c, nil, false
	if headOnly {
		m.body, m.trailers = "", nil
		want += "||"
		c.isBegun, c.seen = true, 0
	} else {
		c.in = c.in[min(m.size, len(c.in)):]
	}
	s.dropForwarded(m)
	got := m.text()
	for alternative := range strings.SplitSeq(want, " or ") {
		if got == canonical(unescape(alternative)) {
			return ""
		}
	}
	return "gets " + got
}

// isAnswered reports whether a client has an answer, so that the replica will get nothing.
func (s *stage) isAnswered() bool {
	for _, c := range s.clients {
		if a := c.nextAnswer(false); c.ended || a != nil && a.isWhole {
			return true
		}
	}
	return false
}

// dropForwarded drops what a proxy has to tell the replica about its client, if it tells
// the truth, and what it may add.
func (s *stage) dropForwarded(m *message) {
	m.drop("X-Request-Id: *")
	if strings.Contains(m.start, "/forwarded") {
		return
	}
	host, _ := m.field("Host")
	m.drop("X-Forwarded-For: 127.0.0.1")
	m.drop("X-Forwarded-Proto: http")
	m.drop("X-Forwarded-Host: " + host)
}

// replicaStays sees that the connection of the last request is used for the next one.
func (s *stage) replicaStays(_, _ string) string {
	if instead := s.probe(); instead != "" {
		return instead
	}
	if s.probed != s.current {
		return fmt.Sprintf("goes: the next request comes over connection %d, not over %d",
			s.number(s.probed), s.number(s.current))
	}
	return ""
}

// replicaGoes sees that the connection of the last request is closed, and that the next
// one comes over another.
func (s *stage) replicaGoes(_, _ string) string {
	if !s.wait(func() bool { return s.current.ended }) {
		return "stays"
	}
	if instead := s.probe(); instead != "" {
		return instead
	}
	if s.probed == s.current {
		return "stays"
	}
	return ""
}

// probe asks for something over a new connection, unless a client has just done so.
func (s *stage) probe() string {
	if s.probed != nil {
		return ""
	}
	const who = "probe"
	defer s.forget(who)
	return s.clientStays(who, false)
}

func (s *stage) replicaIsOn(_, want string) string {
	if got := strconv.Itoa(s.number(s.current)); got != want {
		return "is on connection " + got
	}
	return ""
}

func (s *stage) replicaIsUntouched(_, _ string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.replicas {
		if c != s.probed && c.total > 0 {
			return "gets " + shorten(string(c.in))
		}
	}
	return ""
}

// blame looks whether the proxy counts a failure of the replica.
func (s *stage) blame(want bool) string {
	if s.failures == nil {
		return ""
	}
	if n := s.failures(); want != (n > 0) {
		return fmt.Sprintf("has %d failures", n)
	}
	return ""
}

func (s *stage) replicaGetsMore(want string, toTheEnd bool) string {
	return s.getsMore(s.current, false, want, toTheEnd)
}

// replicaSends writes to the connection with this number, of "replica" to that of the last request.
func (s *stage) replicaSends(who string, message []byte, times int) string {
	c := s.replica(who)
	if c == nil {
		return "has no connection"
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(s.patience))
	if all := write(c.conn, message, times); all && times == 0 {
		return fmt.Sprintf("%d MB were taken", floodSize>>20)
	}
	return ""
}

func (s *stage) replica(who string) *stream {
	n, err := strconv.Atoi(strings.TrimPrefix(who, "replica"))
	if err != nil {
		return s.current
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > len(s.replicas) {
		return nil
	}
	return s.replicas[n-1]
}
