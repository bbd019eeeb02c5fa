// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
)

// UnansweredError means that the API server, the node or the connection to them did not
// work. It says nothing about the pod. A connection that the pod refuses, and a command
// that fails in it, are other errors.
type UnansweredError struct{ Err error }

func (e *UnansweredError) Error() string { return e.Err.Error() }

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *UnansweredError) Unwrap() error { return e.Err }

// execError returns the error of a command that has no exit status. It is an
// UnansweredError if the command was not reached, or the connection to it ended.
// Otherwise the node has answered that it could not run the command.
func execError(pod string, err error) error {
	wrapped := fmt.Errorf("exec in pod %s: %w", pod, err)
	_, isNetwork := errors.AsType[net.Error](err)
	// Only their text tells that the API server could not connect to the node, and that
	// the connection broke off.
	text := err.Error()
	isNode := strings.Contains(text, "error dialing backend") || strings.Contains(text, "websocket: close 1006")
	if isNetwork || isNode || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &UnansweredError{wrapped}
	}
	return wrapped
}
