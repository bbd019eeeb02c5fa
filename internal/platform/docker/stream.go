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

	"github.com/bluegreen/terraform-provider-bluegreen/internal/dockerapi"
)

// stream is a connection to the stdin and stdout of a command in a container. It ends
// when the command ends. Close closes the command's stdin.
type stream struct {
	attached client.HijackedResponse
	// stdout is what the command writes to stdout.
	stdout *io.PipeReader
	// done is closed when the command sends nothing any more.
	done chan struct{}

	mu     sync.Mutex
	stderr bytes.Buffer
}

var _ net.Conn = (*stream)(nil)

// maxStderr is how many bytes of the command's stderr are kept.
const maxStderr = 4096

// openStream runs a command in a container.
func (e *engine) openStream(ctx context.Context, containerName string, command []string) (*stream, error) {
	_, attached, err := dockerapi.StartExec(ctx, e.Client, containerName, client.ExecCreateOptions{
		AttachStdin: true, AttachStdout: true, AttachStderr: true, Cmd: command,
	})
	if err != nil {
		return nil, err
	}
	stdout, writer := io.Pipe()
	s := &stream{attached: attached, stdout: stdout, done: make(chan struct{})}
	go func() {
		defer close(s.done)
		_, err := stdcopy.StdCopy(writer, (*stderrWriter)(s), s.attached.Reader)
		writer.CloseWithError(s.endError(err))
	}()
	return s, nil
}

// endError returns the error that a reader gets at the end of the stream. It is what
// the command wrote to stderr, or err if the command wrote nothing there.
func (s *stream) endError(err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if message := bytes.TrimSpace(s.stderr.Bytes()); len(message) > 0 {
		return fmt.Errorf("the command ended: %s", message)
	}
	return err
}

// stderrWriter receives the command's stderr.
type stderrWriter stream

func (w *stderrWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stderr.Write(p[:min(len(p), maxStderr-w.stderr.Len())])
	return len(p), nil
}

func (s *stream) Read(p []byte) (int, error) { return s.stdout.Read(p) }

func (s *stream) Write(p []byte) (int, error) { return s.attached.Conn.Write(p) }

// Close closes the connection. It returns when the stream's goroutine has ended.
func (s *stream) Close() error {
	s.attached.Close()
	s.stdout.Close()
	<-s.done
	return nil
}

func (s *stream) LocalAddr() net.Addr  { return s.attached.Conn.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr { return s.attached.Conn.RemoteAddr() }

func (s *stream) SetDeadline(t time.Time) error      { return s.attached.Conn.SetDeadline(t) }
func (s *stream) SetReadDeadline(t time.Time) error  { return s.attached.Conn.SetReadDeadline(t) }
func (s *stream) SetWriteDeadline(t time.Time) error { return s.attached.Conn.SetWriteDeadline(t) }
