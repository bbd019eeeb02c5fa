// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"fmt"
	"net"
	"regexp"
	"strings"
)

const (
	okAnswer  = "HTTP/1.1 200 OK|Content-Length: 2||ok"
	okMessage = "200|Content-Length: 2||ok"
	probe     = "GET /probe HTTP/1.1|Host: probe||"
	// floodSize is more than a proxy should take of what has no end.
	floodSize = 64 << 20
)

// step does one line of a story. It returns what happened instead of what the line says,
// "" if just that happened.
type step func(s *stage, who, text string) string

// steps are the verbs of the stories, the longer ones before their beginnings.
var steps = []struct {
	verb string
	do   step
}{
	{"client sends", func(s *stage, who, text string) string { return s.clientSends(who, wire(text), 1) }},
	{"client floods", func(s *stage, who, text string) string { return s.clientSends(who, wire(text), 0) }},
	{"client half-closes", func(s *stage, who, _ string) string { return s.clientCloses(who, true) }},
	{"client closes", func(s *stage, who, _ string) string { return s.clientCloses(who, false) }},
	{"client gets head", (*stage).clientGetsHead},
	{"client gets more", func(s *stage, who, text string) string { return s.clientGetsMore(who, text, false) }},
	{"client gets the rest", func(s *stage, who, text string) string { return s.clientGetsMore(who, text, true) }},
	{"client gets", (*stage).clientGets},
	{"client is answered", func(s *stage, who, _ string) string { return s.clientGets(who, okMessage) }},
	{"client is in step", func(s *stage, who, _ string) string { return s.clientStays(who, true) }},
	{"client stays", func(s *stage, who, _ string) string { return s.clientStays(who, false) }},
	{"client goes", (*stage).clientGoes},
	{"replica gets head", func(s *stage, _, text string) string { return s.replicaGets(text, true) }},
	{"replica gets more", func(s *stage, _, text string) string { return s.replicaGetsMore(text, false) }},
	{"replica gets the rest", func(s *stage, _, text string) string { return s.replicaGetsMore(text, true) }},
	{"replica gets", func(s *stage, _, text string) string { return s.replicaGets(text, false) }},
	{"replica sends", func(s *stage, who, text string) string { return s.replicaSends(who, wire(text), 1) }},
	{"replica floods", func(s *stage, who, text string) string { return s.replicaSends(who, wire(text), 0) }},
	{"replica answers", func(s *stage, who, _ string) string { return s.replicaSends(who, wire(okAnswer), 1) }},
	{"replica closes", func(s *stage, who, _ string) string { return s.replicaCloses(who, false) }},
	{"replica resets", func(s *stage, who, _ string) string { return s.replicaCloses(who, true) }},
	{"replica stays", (*stage).replicaStays},
	{"replica goes", (*stage).replicaGoes},
	{"replica is on connection", (*stage).replicaIsOn},
	{"replica is untouched", (*stage).replicaIsUntouched},
	{"replica is blamed", func(s *stage, _, _ string) string { return s.blame(true) }},
	{"replica is blameless", func(s *stage, _, _ string) string { return s.blame(false) }},
}

// continued is between a line of a story and the next one that goes on with it.
var continued = regexp.MustCompile(`\n\s*\+ `)

// play plays a story line by line. It returns the first line that was not as it says, and
// what happened instead; "" if all was as told.
func (s *stage) play(story string) (line, instead string) {
	story = continued.ReplaceAllString(story, "")
	for line := range strings.Lines(story) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		if instead := s.playLine(line); instead != "" {
			return line, instead
		}
	}
	return "in the end", s.leftOver()
}

// playLine does one line: who does it, "client", "client2" or, for the replica's second
// connection, "replica2", the verb, and the text of the message.
func (s *stage) playLine(line string) string {
	who, rest, _ := strings.Cut(line, " ")
	actor := strings.TrimRight(who, "0123456789")
	for _, step := range steps {
		if text, ok := strings.CutPrefix(actor+" "+rest, step.verb); ok {
			return step.do(s, who, strings.TrimSpace(text))
		}
	}
	panic("no step of a story: " + line)
}

// leftOver returns what came and is in no line of the story.
func (s *stage) leftOver() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for who, c := range s.clients {
		if len(c.in) > 0 {
			return fmt.Sprintf("%s also gets %s", who, shorten(string(c.in[:min(len(c.in), 80)])))
		}
	}
	if _, m := s.nextRequest(false); m != nil {
		return "the replica also gets " + m.text()
	}
	return ""
}

// write sends a message once, or with times 0 for as long as the other side takes it.
func write(conn net.Conn, message []byte, times int) (all bool) {
	if times > 0 {
		_, err := conn.Write(message)
		return err == nil
	}
	block := []byte(strings.Repeat(string(message), max(1, 64<<10/len(message))))
	for range floodSize / len(block) {
		if _, err := conn.Write(block); err != nil {
			return false
		}
	}
	return true
}
