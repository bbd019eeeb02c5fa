// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"fmt"
	"net"
	"strings"
	"time"
)

func (s *stage) clientSends(who string, message []byte, times int) string {
	c, err := s.client(who)
	if err != nil {
		return err.Error()
	}
	s.mu.Lock()
	c.isHead = strings.HasPrefix(string(message), "HEAD ")
	s.mu.Unlock()
	_ = c.conn.SetWriteDeadline(time.Now().Add(s.patience))
	if all := write(c.conn, message, times); all && times == 0 {
		return fmt.Sprintf("%d MB were taken", floodSize>>20)
	}
	return ""
}

func (s *stage) clientCloses(who string, half bool) string {
	c, err := s.client(who)
	if err != nil {
		return err.Error()
	}
	if tcp, ok := c.conn.(*net.TCPConn); ok && half {
		_ = tcp.CloseWrite()
		return ""
	}
	s.forget(who)
	return ""
}

// clientGets waits for an answer and compares it. "400" compares the status alone, "cut"
// stands for a connection that ends before an answer does, and " or " is between several
// answers that are all right.
func (s *stage) clientGets(who, want string) string {
	c, err := s.client(who)
	if err != nil {
		return err.Error()
	}
	var m *message
	s.wait(func() bool {
		m = c.nextAnswer(strings.HasPrefix(want, "1"))
		return m != nil && (m.isWhole || m.isFaulty) || c.ended
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.describe(c, m)
	for alternative := range strings.SplitSeq(want, " or ") {
		status, _, _ := strings.Cut(got, "|")
		if got == canonical(unescape(alternative)) || status == alternative {
			c.in = c.in[min(len(c.in), sizeOf(m)):]
			return ""
		}
	}
	return "gets " + got
}

// describe writes what a client has got, m or nothing.
func (s *stage) describe(c *stream, m *message) string {
	switch {
	case m != nil && m.isWhole:
		s.dropOwn(m)
		return m.text()
	case c.ended:
		return "cut"
	case m != nil:
		return "a part: " + m.text()
	default:
		return "no answer"
	}
}

// dropOwn drops what a proxy may add to an answer.
func (s *stage) dropOwn(m *message) {
	m.drop("Date: *")
	m.drop("Server: nginx")
	m.drop("Connection: keep-alive")
}

func sizeOf(m *message) int {
	if m == nil || !m.isWhole {
		return 1 << 30 // Nothing that follows could be read.
	}
	return m.size
}

func (s *stage) clientGetsHead(who, want string) string {
	c, err := s.client(who)
	if err != nil {
		return err.Error()
	}
	var m *message
	s.wait(func() bool {
		m = c.nextAnswer(false)
		return m != nil || c.ended
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if m == nil {
		return "gets " + s.describe(c, m)
	}
	s.dropOwn(m)
	m.body, m.trailers = "", nil
	got := m.text()
	for alternative := range strings.SplitSeq(want, " or ") {
		if got == canonical(alternative+"||") {
			c.isBegun, c.seen = true, 0
			return ""
		}
	}
	return "gets " + got
}

func (s *stage) clientGetsMore(who, want string, toTheEnd bool) string {
	return s.getsMore(s.clients[who], true, want, toTheEnd)
}

// getsMore compares the next bytes of the body of a message, or the whole rest of it.
func (s *stage) getsMore(c *stream, isAnswer bool, want string, toTheEnd bool) string {
	want, body, trailers := unescape(want), "", ""
	var m *message
	s.wait(func() bool {
		m = parseMessage(c.in, isAnswer, c.isHead, c.ended)
		if m == nil {
			return c.ended
		}
		body = m.body[c.seen:]
		return m.isWhole || m.isFaulty || c.ended || !toTheEnd && len(body) >= len(want)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if m == nil {
		return "gets nothing"
	}
	if m.trailers != nil {
		trailers = "||" + strings.Join(m.trailers, "|")
	}
	if want == "cut" && toTheEnd && c.ended && !m.isWhole {
		c.in, c.isBegun = nil, false
		return ""
	}
	if got := body + trailers; got != want || toTheEnd && !m.isWhole || m.isFaulty {
		return fmt.Sprintf("gets %s (whole: %v, faulty: %v)", shorten(got), m.isWhole, m.isFaulty)
	}
	c.seen += len(body)
	if toTheEnd {
		c.in, c.isBegun, c.seen = c.in[m.size:], false, 0
	}
	return ""
}

// clientStays sees that a client's connection can be used again, by a probe that comes back.
func (s *stage) clientStays(who string, orGoes bool) string {
	s.clientSends(who, wire(probe), 1)
	instead := s.answerProbe(s.clients[who])
	if instead == "goes" && orGoes {
		return ""
	}
	return instead
}

func (s *stage) clientGoes(who, _ string) string {
	c, err := s.client(who)
	if err != nil {
		return err.Error()
	}
	if !s.wait(func() bool { return c.ended }) {
		return "stays"
	}
	return ""
}

// answerProbe answers the probe that a client has sent, and waits until it has the answer.
func (s *stage) answerProbe(c *stream) string {
	var r *stream
	var m *message
	s.wait(func() bool {
		r, m = s.nextRequest(false)
		return m != nil || c.ended
	})
	s.mu.Lock()
	ended, stray := c.ended, shorten(string(c.in[:min(len(c.in), 80)]))
	s.mu.Unlock()
	switch {
	case m == nil && ended && stray == "":
		return "goes"
	case m == nil:
		return "is not in step: " + stray
	case !strings.HasPrefix(m.start, "GET /probe "):
		return "is not in step: the replica gets " + m.text()
	}
	s.mu.Lock()
	r.in = r.in[m.size:]
	s.probed = r
	s.mu.Unlock()
	_, _ = r.conn.Write(wire("HTTP/1.1 200 OK|Content-Length: 5||probe"))
	var a *message
	s.wait(func() bool {
		a = c.nextAnswer(false)
		return a != nil && a.isWhole || c.ended
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if a == nil || a.body != "probe" {
		return "is not in step: " + s.describe(c, a)
	}
	c.in = c.in[a.size:]
	return ""
}
