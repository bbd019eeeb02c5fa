// SPDX-License-Identifier: MPL-2.0

package durable

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// ErrUnsupported means that this operating system lacks what the agent needs: Unix
// sockets with file permissions, process groups and named pipes.
var ErrUnsupported = errors.New(
	"running processes with blue/green deployments is not supported on this operating system")

// UnreadableError is a file that is damaged, written by another program, or newer
// than this program. Its content is never guessed.
type UnreadableError struct {
	Path string
	Err  error
}

func (e *UnreadableError) Error() string { return fmt.Sprintf("%s cannot be used: %v", e.Path, e.Err) }

func (e *UnreadableError) Unwrap() error { return e.Err }

// ReadFile returns the content of the file at path, nil if there is no file. Any
// other error is an *UnreadableError.
func ReadFile(path string) ([]byte, error) {
	file, err := OpenRegular(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, &UnreadableError{path, err}
	}
	defer file.Close()
	content, err := io.ReadAll(file)
	if err != nil {
		return nil, &UnreadableError{path, err}
	}
	return content, nil
}

// ReadJSON decodes the file at path and reports whether there is one. kind says in errors
// what the file holds. An error is an *UnreadableError.
func ReadJSON(path, kind string, into any) (found bool, err error) {
	content, err := ReadFile(path)
	if err != nil || content == nil {
		return false, err
	}
	if err := CheckSchema(content); err != nil {
		return false, &UnreadableError{path, err}
	}
	if err := json.Unmarshal(content, into); err != nil {
		return false, &UnreadableError{path, fmt.Errorf("it is damaged or not a %s: %w", kind, err)}
	}
	return true, nil
}

// WriteJSON replaces the file at path with value, durably and in one step. kind says
// in errors what value is.
func WriteJSON(path, kind string, value any) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("encoding the %s: %w", kind, err)
	}
	return WriteFile(path, content)
}
