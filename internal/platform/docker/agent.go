// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/client"
	"golang.org/x/sync/semaphore"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
)

// startTimeout is how long an agent may take to answer after its container was
// started. It may have to wait for the removal of another agent.
const startTimeout = time.Minute

// listenTimeout is how long an agent may take to listen after its process was started.
// It is an argument of the "agent connect" command.
const listenTimeout = "10s"

// agentManager creates, starts, replaces and removes the agent of a Docker host.
type agentManager struct {
	Agent
	engine *engine
	client *agentclient.Client
	images images
	// deployment is the name of the deployment that the agent is needed for, and upkeep what
	// it asks of the agent; see Options.
	deployment string
	upkeep     *Upkeep
	// hostSocket is the path of the engine's socket on its host. socket is the one that the
	// agent's container gets when it is created, "" for none.
	hostSocket, socket string
	// program returns the path of the program that the agent's image is built from.
	program func() (string, error)
	// imageMutex, replaceMutex and holders are the Host's.
	imageMutex, replaceMutex contextMutex
	holders                  *semaphore.Weighted
}

// withAgent makes a call that the agent has to answer. While no agent answers, it
// starts one and repeats the call. It replaces an agent that is older than this program.
func (m *agentManager) withAgent(ctx context.Context, call func() error) error {
	err := call()
	if isOlderAgent(err) {
		err = m.replaceMutex.withLock(ctx, func() error {
			// The previous holder of the mutex may have replaced the agent.
			if err := call(); !isOlderAgent(err) {
				return err
			}
			if err := m.replaceIncompatible(ctx); err != nil {
				return err
			}
			return call()
		})
	}
	if !agentclient.IsUnavailable(err) {
		return m.explainVersion(err)
	}
	if err := m.prepareImage(ctx); err != nil {
		return err
	}
	return m.startAndRetry(ctx, call, err)
}

// startAndRetry starts the agent and repeats the call until the agent answers or
// startTimeout is over. last is the error of the call before.
func (m *agentManager) startAndRetry(ctx context.Context, call func() error, last error) error {
	timedOut := fmt.Errorf("the agent, container %s, did not answer within %s", m.Name, startTimeout)
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, timedOut)
	defer cancel()
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 10*time.Millisecond, 500*time.Millisecond
	attempt := func() (struct{}, error) {
		if err := m.ensureRunning(ctx); err != nil {
			return struct{}{}, err
		}
		err := call()
		if err != nil && !agentclient.IsUnavailable(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}
	remember := func(err error, _ time.Duration) { last = err }
	_, err := backoff.Retry(ctx, attempt,
		backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0), backoff.WithNotify(remember))
	if err != nil && errors.Is(err, context.Cause(ctx)) {
		return fmt.Errorf("%w: %w", err, m.explainVersion(last))
	}
	return m.explainVersion(err)
}

// prepareImage brings the agent's image to a host without an agent. It has no timeout
// of its own, because the duration depends on the connection.
func (m *agentManager) prepareImage(ctx context.Context) error {
	_, err := m.engine.ContainerInspect(ctx, m.Name, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		_, err = m.agentImage(ctx)
	}
	return err
}

// ensureRunning starts the agent's container, and creates it if there is none. Several
// processes may call it at the same time, and one container is the result. If another
// attempt cannot help, the error is permanent. Any other error comes from the work of
// another process, and is gone when that process is done.
func (m *agentManager) ensureRunning(ctx context.Context) error {
	err := m.ensureContainer(ctx)
	if err != nil && !errdefs.IsConflict(err) {
		return err
	}
	_, err = m.engine.ContainerStart(ctx, m.Name, client.ContainerStartOptions{})
	switch {
	case err == nil, errdefs.IsNotFound(err), errdefs.IsConflict(err):
		// A container that is being removed is created again at the next attempt.
		return nil
	default:
		return backoff.Permanent(fmt.Errorf("starting the agent, container %s: %w", m.Name, m.explainMount(err)))
	}
}
