// SPDX-License-Identifier: MPL-2.0

package health

import (
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"unicode"
)

// maxCause is how many characters of a text that came from outside a cause may hold.
const maxCause = 160

// cause is why a probe failed, in one line that can be shown to a person as it
// is: "GET /healthz: connection refused". It unwraps to what was observed.
type cause struct {
	text string
	err  error
}

func newCause(subject string, err error) error {
	return &cause{text: subject + ": " + plain(err), err: err}
}

func (c *cause) Error() string { return c.text }

func (c *cause) Unwrap() error { return c.err }

// refusal is what a service answered instead of that it is well, fit to be shown.
type refusal struct{ answer string }

func (r *refusal) Error() string { return r.answer }

// plain says what happened in the words of the person who wrote the service.
// The loopback or pod address of an instance and the name of the system call
// tell that person nothing, so "dial tcp 127.0.0.1:41234: connect: connection
// refused" becomes "connection refused". Other networks keep their words: a
// missing unix socket is trouble of the platform, not of the instance.
func plain(err error) string {
	if answered, ok := errors.AsType[*refusal](err); ok {
		return answered.answer
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && strings.HasPrefix(op.Net, "tcp") {
		if errno, ok := errors.AsType[syscall.Errno](op); ok {
			return errno.Error()
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "connection closed without an answer"
	}
	return oneLine(err.Error())
}

// oneLine returns the first line of text that says something, without anything
// that a terminal would act on, cut to maxCause characters.
func oneLine(text string) string {
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(strings.Map(printable, line))
		if line == "" {
			continue
		}
		if runes := []rune(line); len(runes) > maxCause {
			return string(runes[:maxCause]) + "…"
		}
		return line
	}
	return ""
}

// printable drops what unicode.IsPrint refuses, which covers control and
// format characters, and keeps a tab as a space. Bytes that are no UTF-8
// arrive here as unicode.ReplacementChar and are dropped as well.
func printable(r rune) rune {
	switch {
	case r == '\t':
		return ' '
	case r == unicode.ReplacementChar || !unicode.IsPrint(r):
		return -1
	default:
		return r
	}
}
