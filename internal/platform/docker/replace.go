// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"
)

// An agent is replaced without a dropped request. The agent in the new container takes
// the sockets over from the agent in the former container. The former agent serves
// until then, and ends by itself once its clients are gone.

// takeOverTimeout is how long it may take until the former agent has ended. It is
// longer than the former agent waits for its clients.
const takeOverTimeout = 2 * time.Minute

// beginUse replaces the agent if it is not as the configuration asks for. It returns once
// the agent can be used to take a lock. The agent then stays as it is until endUse is called.
func (m *agentManager) beginUse(ctx context.Context) (endUse func(), err error) {
	if err := m.acquire(ctx, 1); err != nil {
		return nil, err
	}
	isOutdated, err := m.isOutdated(ctx)
	if err == nil && isOutdated {
		m.holders.Release(1)
		if err := m.replaceOutdated(ctx); err != nil {
			return nil, err
		}
	}
	if err == nil {
		err = m.requireEngine(ctx)
	}
	if err != nil {
		m.holders.Release(1)
		return nil, err
	}
	return sync.OnceFunc(func() { m.holders.Release(1) }), nil
}

// acquire waits until so many holders of a lock can be added.
func (m *agentManager) acquire(ctx context.Context, holders int64) error {
	if m.holders.Acquire(ctx, holders) != nil {
		return fmt.Errorf("waiting for the other deployments to be applied, and the agent to be replaced: %w",
			context.Cause(ctx))
	}
	return nil
}

// replaceOutdated replaces the agent while this process holds no lock. It returns nil as
// the only holder.
func (m *agentManager) replaceOutdated(ctx context.Context) error {
	if err := m.acquire(ctx, maxHolders); err != nil {
		return err
	}
	isOutdated, err := m.isOutdated(ctx)
	if err == nil && isOutdated {
		err = m.replace(ctx)
	}
	if err != nil {
		m.holders.Release(maxHolders)
		return err
	}
	m.holders.Release(maxHolders - 1)
	return nil
}

// isOutdated reports whether there is an agent, and its container must be replaced for
// the engine's socket or because the configuration asks for another image.
func (m *agentManager) isOutdated(ctx context.Context) (bool, error) {
	isOther, err := m.chooseSocket(ctx)
	if err != nil || isOther || !m.Replace {
		return isOther, err
	}
	exists, isCurrent, err := m.inspectAgent(ctx)
	return exists && !isCurrent, err
}

// replaceIncompatible replaces an agent that is older than this program. It returns an
// error if the wanted image has the older program too.
func (m *agentManager) replaceIncompatible(ctx context.Context) error {
	exists, isCurrent, err := m.inspectAgent(ctx)
	switch {
	case err != nil || !exists:
		return err
	case isCurrent:
		return fmt.Errorf("the agent, container %s, is older than this provider, and so is agent_image, %s: "+
			"set it to an image with this version of the provider", m.Name, m.Image)
	default:
		return m.replace(ctx)
	}
}

// inspectAgent reports whether the agent's container exists, and whether it has the
// wanted image.
func (m *agentManager) inspectAgent(ctx context.Context) (exists, isCurrent bool, err error) {
	wanted, err := m.agentImage(ctx)
	if err != nil {
		return false, false, err
	}
	found, err := m.engine.ContainerInspect(ctx, m.Name, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	isCurrent, err = m.hasSameProgram(ctx, found.Container.Image, wanted)
	return true, isCurrent, err
}

// hasSameProgram reports whether two images are the same, or are built from the same
// program.
func (m *agentManager) hasSameProgram(ctx context.Context, present, wanted string) (bool, error) {
	next, err := m.engine.ImageInspect(ctx, wanted)
	if err != nil || next.ID == present {
		return err == nil, err
	}
	former, err := m.engine.ImageInspect(ctx, present)
	if err != nil {
		return false, ignoreNotFoundOrConflict(err)
	}
	program := programOf(next.InspectResponse)
	return program != "" && program == programOf(former.InspectResponse), nil
}

// programOf returns the digest of the program that an agent's image was built from.
func programOf(image image.InspectResponse) string {
	if image.Config == nil {
		return ""
	}
	return image.Config.Labels[labelProgram]
}

// replace starts an agent from the wanted image, which takes over from the agent that
// runs. It returns when the former agent has ended. If it fails, the former agent is
// the host's agent again.
func (m *agentManager) replace(ctx context.Context) error {
	// The image must be there before anything is changed.
	_, err := m.agentImage(ctx)
	if err == nil {
		err = m.renameToFormer(ctx)
	}
	if err == nil {
		if err = m.startSuccessor(ctx); err != nil {
			cleanup, cancel := cleanupContext(ctx)
			defer cancel()
			err = errors.Join(err, m.restoreFormer(cleanup))
		}
	}
	if err != nil {
		return fmt.Errorf("replacing the agent, container %s: %w", m.Name, err)
	}
	cleanup, cancel := cleanupContext(ctx)
	defer cancel()
	return m.removeFormer(cleanup)
}

// cleanupTimeout is how long the engine may take to clean up after a step.
const cleanupTimeout = time.Minute

// cleanupContext returns the context for cleaning up. An interrupt does not end it, and an
// engine that does not answer does not hold the apply for ever.
func cleanupContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
}

// startSuccessor starts the new agent and waits until the former agent has ended. Once
// the new agent is started, this process cannot tell which of the two serves.
// Therefore neither an interrupt nor a broken connection ends the wait.
func (m *agentManager) startSuccessor(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := m.ensureRunning(starting); err != nil {
		return err
	}
	timedOut := fmt.Errorf("the new agent did not take over within %s", takeOverTimeout)
	ctx, cancel = context.WithTimeoutCause(ctx, takeOverTimeout, timedOut)
	defer cancel()
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		return struct{}{}, m.awaitTakeOver(ctx)
	}, backoff.WithMaxElapsedTime(0))
	return err
}

// awaitTakeOver waits until the former agent has ended. The error is permanent if the
// new agent ended instead. Any other error is about the wait, which can be repeated.
func (m *agentManager) awaitTakeOver(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	former := m.awaitContainer(ctx, m.formerName(), container.WaitConditionNotRunning)
	next := m.awaitContainer(ctx, m.Name, container.WaitConditionNextExit)
	select {
	case err := <-former:
		return ignoreNotFoundOrConflict(err)
	case err := <-next:
		if err != nil {
			return err
		}
		return backoff.Permanent(fmt.Errorf("the new agent exited: %s", m.lastLogLines(ctx)))
	}
}

// awaitContainer returns a channel that receives nil when the container is in the
// condition, or the error that ended the wait. It always reads what the library sends,
// because the library's goroutine waits for a reader.
func (m *agentManager) awaitContainer(
	ctx context.Context, name string, condition container.WaitCondition,
) <-chan error {
	wait := m.engine.ContainerWait(ctx, name, client.ContainerWaitOptions{Condition: condition})
	done := make(chan error, 1)
	go func() {
		select {
		case <-wait.Result:
			done <- nil
		case err := <-wait.Error:
			done <- err
		}
	}()
	return done
}

// lastLogLines returns the last lines that the agent wrote.
func (m *agentManager) lastLogLines(ctx context.Context) string {
	lines, err := m.engine.logs(ctx, m.Name, 3)
	if err != nil {
		return err.Error()
	}
	return strings.Join(lines, "\n")
}
