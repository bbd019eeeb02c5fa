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

// openStream runs command in a container.
func (e *engine) openStream(ctx context.Context, containerName string, command []string) (*stream, error) {
	exec, err := e.ExecCreate(ctx, containerName, client.ExecCreateOptions{
		AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: command,
	})
	if err != nil {
		return nil, err
	}
	attached, err := e.ExecAttach(ctx, exec.ID, client.ExecAttachOptions{})
	if err != nil {
		return nil, err
	}
	output, from := io.Pipe()
	s := &stream{attached: attached.HijackedResponse, output: output, done: make(chan struct{})}
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
