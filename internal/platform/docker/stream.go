// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"sync"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// stream is the stdin and stdout of a command in a container, as a connection.
//
// It ends with the command, and Close ends the command's stdin.
type stream struct {
	attached client.HijackedResponse
	// output is what the command writes to stdout.
	output *io.PipeReader
	// done is closed when nothing comes from the command any more.
	done chan struct{}

	mu     sync.Mutex
	errors bytes.Buffer
}

var _ net.Conn = (*stream)(nil)

// maxComplaint is how much is remembered of what a command writes to stderr.
const maxComplaint = 4096

// attachAttempts is how often a command may be refused to begin.
const attachAttempts = 3

// attach runs a command in a container and returns its exec and what it writes.
//
// A container may end after the exec is made and before the command begins. The
// engine then refuses to begin it, with a 404 or a 500, and its client does not
// pass on why. Nothing has happened so far, and making another exec tells: the
// error is a NotFound for a container that is gone, a Conflict for one that does
// not run.
func (e *engine) attach(ctx context.Context, containerName string, options client.ExecCreateOptions) (id string, attached client.HijackedResponse, err error) {
	var refused error
	for range attachAttempts {
		exec, err := e.ExecCreate(ctx, containerName, options)
		if err != nil {
			return "", attached, err
		}
		result, err := e.ExecAttach(ctx, exec.ID, client.ExecAttachOptions{})
		if err == nil {
			return exec.ID, result.HijackedResponse, nil
		}
		refused = err
	}
	return "", attached, fmt.Errorf("the engine refused %d times to run a command in container %s: %w", attachAttempts, containerName, refused)
}

// openStream runs command in a container.
func (e *engine) openStream(ctx context.Context, containerName string, command []string) (*stream, error) {
	_, attached, err := e.attach(ctx, containerName, client.ExecCreateOptions{
		AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: command,
	})
	if err != nil {
		return nil, err
	}
	output, from := io.Pipe()
	s := &stream{attached: attached, output: output, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_, err := stdcopy.StdCopy(from, (*complaints)(s), s.attached.Reader)
		from.CloseWithError(s.ending(err))
	}()
	return s, nil
}

// ending is the error that a reader gets at the end: what the command complained
// about, where it did.
func (s *stream) ending(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if complaint := bytes.TrimSpace(s.errors.Bytes()); len(complaint) > 0 {
		return fmt.Errorf("it ended: %s", complaint)
	}
	return err
}

// complaints is the stderr of the command.
type complaints stream

func (c *complaints) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.errors.Write(p[:min(len(p), maxComplaint-c.errors.Len())])
	return len(p), nil
}

func (s *stream) Read(p []byte) (int, error) { return s.output.Read(p) }

func (s *stream) Write(p []byte) (int, error) { return s.attached.Conn.Write(p) }

// Close hangs up. It returns when nothing of the stream is left.
func (s *stream) Close() error {
	s.attached.Close()
	s.output.Close()
	<-s.done
	return nil
}

func (s *stream) LocalAddr() net.Addr  { return s.attached.Conn.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr { return s.attached.Conn.RemoteAddr() }

func (s *stream) SetDeadline(t time.Time) error      { return s.attached.Conn.SetDeadline(t) }
func (s *stream) SetReadDeadline(t time.Time) error  { return s.attached.Conn.SetReadDeadline(t) }
func (s *stream) SetWriteDeadline(t time.Time) error { return s.attached.Conn.SetWriteDeadline(t) }
