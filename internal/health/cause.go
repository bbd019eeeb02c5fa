// SPDX-License-Identifier: MPL-2.0

package health

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"syscall"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/printable"
)

// maxCause limits how many characters of a text from outside a cause contains.
const maxCause = 160

// cause is why a probe failed, in one line that can be shown to a person:
// "GET /healthz: connection reset by peer". It unwraps to the error that was observed.
type cause struct {
	text string
	err  error
}

func newCause(subject string, err error) error {
	return &cause{text: subject + ": " + describe(err), err: err}
}

func (c *cause) Error() string { return c.text }

func (c *cause) Unwrap() error { return c.err }

// rejection is a service's answer that it is not healthy, in one line.
type rejection struct{ answer string }

func (r *rejection) Error() string { return r.answer }

// describe returns err in one line for the person who runs the service. The name of the
// system call does not help that person, so "dial tcp 127.0.0.1:41234: connect: connection
// refused" becomes "connection refused at 127.0.0.1:41234". Errors of other networks are not
// shortened: a missing Unix socket is a problem of the platform, not of the instance.
func describe(err error) string {
	if answered, ok := errors.AsType[*rejection](err); ok {
		return answered.answer
	}
	if errors.Is(err, bluegreen.ErrCouldNotAsk) {
		// The connection that failed is not one to the instance.
		return firstLine(err.Error())
	}
	if op, ok := errors.AsType[*net.OpError](err); ok && strings.HasPrefix(op.Net, "tcp") {
		if errno, ok := errors.AsType[syscall.Errno](op); ok {
			if op.Op == "dial" && op.Addr != nil {
				return fmt.Sprintf("%s at %s", errno, op.Addr)
			}
			return errno.Error()
		}
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "connection closed without an answer"
	}
	return firstLine(err.Error())
}

// firstLine returns the first line of text that is not empty, without what a terminal
// acts on, cut to maxCause characters.
func firstLine(text string) string {
	for line := range strings.Lines(printable.Text(text)) {
		if line = strings.TrimSpace(line); line != "" {
			return printable.Cut(line, maxCause)
		}
	}
	return ""
}
