// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"bytes"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// message is one HTTP/1 message as it came over a connection. The stories read messages
// with this parser of their own: net/http's would forgive what they look for.
type message struct {
	start    string   // "GET / HTTP/1.1" or, of an answer, "200"
	fields   []string // "Name: value"
	body     string   // without the framing of chunks
	trailers []string
	isWhole  bool
	isFaulty bool // What came is not HTTP.
	size     int  // how many bytes of the connection a whole message takes
}

// parseMessage reads the message at the beginning of in. It returns nil until the
// head is there. isHead says that an answer is to a HEAD request, hasEnded that nothing
// more will come.
func parseMessage(in []byte, isAnswer, isHead, hasEnded bool) *message {
	head, rest, ok := bytes.Cut(in, []byte("\r\n\r\n"))
	if !ok {
		return nil
	}
	lines := strings.Split(string(head), "\r\n")
	m := &message{start: lines[0], size: len(head) + 4}
	for _, line := range lines[1:] {
		name, value, ok := strings.Cut(line, ":")
		m.isFaulty = m.isFaulty || !ok || strings.ContainsAny(line, "\r\n")
		m.fields = append(m.fields, http.CanonicalHeaderKey(name)+": "+strings.Trim(value, " \t"))
	}
	if i := slices.Index(m.fields, "Transfer-Encoding: cHuNkEd"); i >= 0 {
		m.fields[i] = "Transfer-Encoding: chunked" // Its letters do not matter: RFC 9112 7.
	}
	status := ""
	if isAnswer {
		if len(m.start) < 12 || !strings.HasPrefix(m.start, "HTTP/1.") {
			m.isFaulty = true
		} else {
			status = m.start[9:12]
			m.start = status
		}
	}
	length, hasLength := m.field("Content-Length")
	coding, isCoded := m.field("Transfer-Encoding")
	n, err := strconv.Atoi(length)
	switch {
	case isAnswer && (isHead || status == "204" || status == "304" || strings.HasPrefix(status, "1")):
		m.isWhole = true
	case isCoded:
		m.isFaulty = m.isFaulty || !strings.EqualFold(coding, "chunked") || hasLength
		m.readChunks(rest)
	case hasLength:
		m.isFaulty = m.isFaulty || err != nil || n < 0
		m.isWhole = len(rest) >= n && !m.isFaulty
		m.body = string(rest[:min(max(n, 0), len(rest))])
		m.size += len(m.body)
	case isAnswer:
		m.isWhole = hasEnded
		m.body = string(rest)
		m.size += len(rest)
	default:
		m.isWhole = true
	}
	return m
}

// readChunks reads as much of a chunked body as is there.
func (m *message) readChunks(in []byte) {
	whole := len(in)
	for {
		line, rest, ok := bytes.Cut(in, []byte("\r\n"))
		if !ok {
			return
		}
		digits, _, _ := strings.Cut(string(line), ";")
		n, err := strconv.ParseUint(digits, 16, 31)
		if err != nil {
			m.isFaulty = true
			return
		}
		in = rest
		if n == 0 {
			break
		}
		m.body += string(in[:min(int(n), len(in))])
		if len(in) < int(n)+2 {
			return
		}
		m.isFaulty = m.isFaulty || string(in[n:n+2]) != "\r\n"
		in = in[n+2:]
	}
	for {
		line, rest, ok := bytes.Cut(in, []byte("\r\n"))
		if !ok {
			return
		}
		in = rest
		if len(line) == 0 {
			break
		}
		name, value, _ := strings.Cut(string(line), ":")
		m.trailers = append(m.trailers, http.CanonicalHeaderKey(name)+": "+strings.Trim(value, " \t"))
	}
	m.isWhole = true
	m.size += whole - len(in)
}

// field returns all values of a field, and whether there is one.
func (m *message) field(name string) (string, bool) {
	var values []string
	for _, f := range m.fields {
		if value, ok := strings.CutPrefix(f, name+": "); ok {
			values = append(values, value)
		}
	}
	return strings.Join(values, ", "), values != nil
}

// drop removes a field that is as a proxy has to write it, so that no story has to repeat it.
func (m *message) drop(field string) {
	m.fields = slices.DeleteFunc(m.fields, func(f string) bool {
		name, isName := strings.CutSuffix(field, ": *")
		return f == field || isName && strings.HasPrefix(f, name+": ")
	})
}

// text writes a message as the stories do: the fields sorted, "|" for the end of a line.
func (m *message) text() string {
	slices.SortStableFunc(m.fields, func(a, b string) int {
		nameA, _, _ := strings.Cut(a, ":")
		nameB, _, _ := strings.Cut(b, ":")
		return strings.Compare(nameA, nameB)
	})
	text := strings.Join(append([]string{m.start}, m.fields...), "|") + "||" + m.body
	if m.trailers != nil {
		text += "||" + strings.Join(m.trailers, "|")
	}
	if m.isFaulty {
		text = "faulty " + text
	}
	return shorten(text)
}

// canonical brings what a story expects into the form of message.text.
func canonical(text string) string {
	head, body, isMessage := strings.Cut(text, "||")
	if !isMessage {
		return text
	}
	lines := strings.Split(head, "|")
	m := &message{start: lines[0], body: body}
	for _, field := range lines[1:] {
		name, value, _ := strings.Cut(field, ":")
		m.fields = append(m.fields, http.CanonicalHeaderKey(name)+":"+value)
	}
	return m.text()
}

var repeated = regexp.MustCompile(`x{100,}`)

// shorten writes "<1000>" for a thousand times the letter x.
func shorten(text string) string {
	text = strings.ReplaceAll(text, "\r\n", "|")
	return repeated.ReplaceAllStringFunc(text, func(run string) string { return fmt.Sprintf("<%d>", len(run)) })
}

var repetition = regexp.MustCompile(`<(\d+)>`)

// wire turns the text of a story into the bytes for a connection.
func wire(text string) []byte {
	text = repetition.ReplaceAllStringFunc(text, func(count string) string {
		n, _ := strconv.Atoi(strings.Trim(count, "<>"))
		return strings.Repeat("x", n)
	})
	return []byte(strings.ReplaceAll(unescape(text), "|", "\r\n"))
}

// unescape reads \n, \r, \t, \x00 and the like, for bytes that a line of a story cannot show.
func unescape(text string) string {
	plain, err := strconv.Unquote(`"` + strings.ReplaceAll(text, `"`, `\"`) + `"`)
	if err != nil {
		panic(fmt.Sprintf("%s: %v", text, err))
	}
	return plain
}
