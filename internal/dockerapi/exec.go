// SPDX-License-Identifier: MPL-2.0

package dockerapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"
)

// ExitError is a command that did not exit with 0.
type ExitError struct {
	Status int
	// LastLine is the last line that the command wrote.
	LastLine string
}

func (e *ExitError) Error() string {
	if e.LastLine == "" {
		return fmt.Sprintf("exit status %d", e.Status)
	}
	return fmt.Sprintf("exit status %d: %s", e.Status, e.LastLine)
}

// Run runs a command in a container, and returns nil if it exits with 0 and an *ExitError
// if it exits otherwise. id is that of the exec, "" if the command was not started. When
// ctx ends, Run returns and the command runs on, because the engine cannot stop it.
func Run(ctx context.Context, engine *client.Client, container string, command []string) (id string, err error) {
	options := client.ExecCreateOptions{Cmd: command, AttachStdout: true, AttachStderr: true}
	id, attached, err := StartExec(ctx, engine, container, options)
	if err != nil {
		return "", err
	}
	defer attached.Close()
	stop := context.AfterFunc(ctx, attached.Close)
	defer stop()
	var output outputTail
	if _, err := stdcopy.StdCopy(&output, &output, attached.Reader); err != nil {
		return id, errors.Join(ctx.Err(), err)
	}
	status, err := awaitExit(ctx, engine, id)
	if err != nil || status == 0 {
		return id, err
	}
	return id, &ExitError{status, output.lastLine()}
}

// exitInterval is the time between two questions whether a command has exited.
const exitInterval = 100 * time.Millisecond

// awaitExit returns the exit status of a command whose streams have ended. It may still run,
// if it has closed them itself, and its exit code is 0 until it has exited.
func awaitExit(ctx context.Context, engine *client.Client, id string) (status int, err error) {
	for {
		result, err := engine.ExecInspect(ctx, id, client.ExecInspectOptions{})
		if err != nil || !result.Running {
			return result.ExitCode, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(exitInterval):
		}
	}
}

// outputTail keeps the end of what is written to it.
type outputTail []byte

// maxOutputTail is how many bytes an outputTail keeps.
const maxOutputTail = 4096

func (t *outputTail) Write(p []byte) (int, error) {
	*t = append(*t, p...)
	*t = (*t)[max(len(*t)-maxOutputTail, 0):]
	return len(p), nil
}

func (t outputTail) lastLine() string {
	lines := bytes.Split(bytes.TrimSpace(t), []byte("\n"))
	return string(lines[len(lines)-1])
}

// execAttempts is how often the engine may refuse to start a command.
const execAttempts = 3

// StartExec starts a command in a container. It returns the ID of the exec and the
// connection to the command's streams.
//
// A container may end after the exec is created and before the command is started. The
// engine then refuses to start it with a 404 or a 500, and its client does not pass on
// the reason. Nothing has happened so far, so StartExec creates another exec to learn
// the reason: the error is a NotFound if the container is gone, and a Conflict if it
// does not run.
func StartExec(
	ctx context.Context, engine *client.Client, container string, options client.ExecCreateOptions,
) (id string, attached client.HijackedResponse, err error) {
	var refused error
	for range execAttempts {
		exec, err := engine.ExecCreate(ctx, container, options)
		if err != nil {
			return "", attached, err
		}
		result, err := engine.ExecAttach(ctx, exec.ID, client.ExecAttachOptions{})
		if err == nil {
			return exec.ID, result.HijackedResponse, nil
		}
		refused = err
	}
	return "", attached, fmt.Errorf("the engine refused %d times to run a command in container %s: %w",
		execAttempts, container, refused)
}
