// SPDX-License-Identifier: MPL-2.0

package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// LaunchAndLock is Lock for when no agent may be running: it starts one if none answers,
// even if the one that ran is about to end. It runs command with "-state-dir", the directory
// and "-restart" appended; command must become the agent, or the parent of the agent. If several
// processes start one at the same time, one agent stays.
func (c *Client) LaunchAndLock(ctx context.Context, command []string, name, holder string) (*Lock, error) {
	var acquired *Lock
	err := c.withLaunch(ctx, command, func() (err error) {
		acquired, err = c.Lock(ctx, name, holder)
		return err
	})
	return acquired, err
}

// EnsureAgent starts an agent, as LaunchAndLock does, if none answers. It returns once one serves.
func (c *Client) EnsureAgent(ctx context.Context, command []string) error {
	return c.withLaunch(ctx, command, func() error {
		_, err := c.version(ctx)
		return err
	})
}

// withLaunch calls attempt, which asks an agent. While no agent answers it starts one
// and calls attempt again.
func (c *Client) withLaunch(ctx context.Context, command []string, attempt func() error) error {
	err := attempt()
	if !IsUnavailable(err) {
		return err
	}
	if err := c.dir.Prepare(); err != nil {
		return err
	}
	launched := &launched{dir: c.dir, command: command}
	late := fmt.Errorf("no agent answered within %s", api.LaunchTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, api.LaunchTimeout, late)
	defer cancel()
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 5*time.Millisecond, 200*time.Millisecond
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		if err := launched.ensure(); err != nil {
			return struct{}{}, backoff.Permanent(fmt.Errorf("starting the agent (its log is %s): %w", c.dir.Log(), err))
		}
		err := attempt()
		if err != nil && !IsUnavailable(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0))
	if err != nil {
		return err
	}
	if serves, err := c.version(ctx); err == nil {
		launched.endUnless(serves)
	}
	return nil
}

// version returns who the agent is, or ErrNotRunning.
func (c *Client) version(ctx context.Context) (reply api.VersionReply, err error) {
	err = c.call(ctx, http.MethodGet, "/v1/version", "", nil, &reply)
	return reply, err
}

// PID returns the process of the agent, or ErrNotRunning.
func (c *Client) PID(ctx context.Context) (int, error) {
	reply, err := c.version(ctx)
	return reply.PID, err
}

// Parent returns the process that starts the agent again when it dies, 0 if there is none.
func (c *Client) Parent(ctx context.Context) (int, error) {
	reply, err := c.version(ctx)
	return reply.Parent, err
}

// KeepsKey reports whether the agent keeps the key of the fingerprints of a ledger.
func (c *Client) KeepsKey(ctx context.Context) (bool, error) {
	reply, err := c.version(ctx)
	return reply.KeepsKey, err
}

// IsUnavailable reports whether err means that no agent can answer until one is started.
func IsUnavailable(err error) bool {
	return errors.Is(err, ErrNotRunning) || errors.Is(err, api.ErrLeaving) || errors.Is(err, errNoAnswer)
}

// launched is the parent of an agent, and so the agent, that this process has started, if any.
type launched struct {
	dir     store.Dir
	command []string
	process *os.Process
	// ended is closed when it has ended. err may be read from then on; nil means that it
	// ended because another agent runs.
	ended chan struct{}
	err   error
}

// ensure starts an agent unless the one it started before still runs, or is about to be started
// again by its parent. If that one ended because another agent ran, ensure starts it again: the
// other may be about to end.
func (l *launched) ensure() error {
	if l.ended != nil {
		select {
		case <-l.ended:
		default:
			return nil
		}
	}
	if l.err != nil {
		return l.err
	}
	return l.start()
}

func (l *launched) start() error {
	output, err := os.OpenFile(l.dir.Log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer output.Close()
	arguments := append(l.command[1:len(l.command):len(l.command)], "-state-dir", string(l.dir), "-"+api.RestartFlag)
	command := exec.Command(l.command[0], arguments...)
	command.Dir, command.Env = string(l.dir), append(process.AgentEnviron(), api.ByProviderVariable+"=1")
	command.Stdout, command.Stderr = output, output
	command.SysProcAttr = process.NewSession()
	process.KeepDescriptors()
	if err := command.Start(); err != nil {
		return err
	}
	ended := make(chan struct{})
	l.process, l.ended = command.Process, ended
	go func() {
		defer close(ended)
		if err := command.Wait(); err != nil {
			last, _ := process.LastLines(l.dir.Log(), 1)
			l.err = fmt.Errorf("%w: %s", err, strings.Join(last, ""))
		}
	}()
	return nil
}

// endUnless ends what was started here unless it is the agent that serves, or its parent. An
// agent ends by itself if another one runs. But if it looks only after the other one has ended,
// it would stay.
func (l *launched) endUnless(serves api.VersionReply) {
	if l.process == nil || l.process.Pid == serves.PID || l.process.Pid == serves.Parent {
		return
	}
	// An error says that it has ended already. The parent ends its agent first.
	_ = l.process.Signal(syscall.SIGTERM)
	<-l.ended
}
