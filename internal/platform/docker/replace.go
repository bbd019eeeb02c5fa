// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
)

// An agent is replaced without a dropped request: the one in the new container
// takes the sockets over from the one in the old container, which ends by itself
// when its clients have gone. Until the new one serves the old one goes on.

// AgentVersionError is an agent that another version of this provider has made
// and that this one cannot talk to.
type AgentVersionError struct {
	// Container is the agent's.
	Container string
	Err       *agent.VersionError
}

func (e *AgentVersionError) Error() string {
	if e.newer() {
		return fmt.Sprintf("the agent, container %s, was made by a newer version of this provider; use that version, or a newer one, here too", e.Container)
	}
	return fmt.Sprintf("the agent, container %s, was made by an older version of this provider, and the next apply replaces it", e.Container)
}

func (e *AgentVersionError) Unwrap() error { return e.Err }

func (e *AgentVersionError) newer() bool { return e.Err.Agent > e.Err.Provider }

// versioned puts an error about the agent's version in the words of a Docker host.
func (h *host) versioned(err error) error {
	var version *agent.VersionError
	if errors.As(err, &version) {
		return &AgentVersionError{h.Name, version}
	}
	return err
}

// older reports whether err says that the agent is from before this program.
func older(err error) bool {
	var version *agent.VersionError
	return errors.As(err, &version) && version.Agent < version.Provider
}

// formerName is what the container of an agent is called that is being replaced.
func (h *host) formerName() string { return h.Name + "-former" }

// takeOverTimeout is how long it may take until the former agent has ended: longer
// than it waits for its clients to go.
const takeOverTimeout = 2 * time.Minute

// renew replaces the agent, where that is asked for, unless it was made from
// this program's image, or the one that is to be used, already.
func (h *host) renew(ctx context.Context) error {
	if !h.Replace {
		return nil
	}
	return h.renewing.take(ctx, func() error {
		present, current, err := h.look(ctx)
		if err != nil || !present || current {
			return err
		}
		return h.replace(ctx)
	})
}

// renewOlder replaces an agent that is older than this program, unless the image
// that is to be used has no other.
func (h *host) renewOlder(ctx context.Context) error {
	present, current, err := h.look(ctx)
	switch {
	case err != nil || !present:
		return err
	case current:
		return fmt.Errorf("the agent, container %s, is older than this provider, and so is agent_image, %s: set it to an image with this version of the provider", h.Name, h.Image)
	default:
		return h.replace(ctx)
	}
}

// look reports whether there is an agent's container, and whether it is from the
// image that is to be used.
func (h *host) look(ctx context.Context) (present, current bool, err error) {
	wanted, err := h.agentImage(ctx)
	if err != nil {
		return false, false, err
	}
	found, err := h.engine.ContainerInspect(ctx, h.Name, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	current, err = h.sameAgent(ctx, found.Container.Image, wanted)
	return true, current, err
}

// sameAgent reports whether two images are one, or are built from the same program.
func (h *host) sameAgent(ctx context.Context, present, wanted string) (bool, error) {
	next, err := h.engine.ImageInspect(ctx, wanted)
	if err != nil || next.ID == present {
		return err == nil, err
	}
	former, err := h.engine.ImageInspect(ctx, present)
	if err != nil {
		return false, ignoreGone(err)
	}
	program := programOf(next.InspectResponse)
	return program != "" && program == programOf(former.InspectResponse), nil
}

// programOf is the digest of the program that an agent's image was built from.
func programOf(image image.InspectResponse) string {
	if image.Config == nil {
		return ""
	}
	return image.Config.Labels[labelProgram]
}

// replace starts an agent from this program's image, which takes over from the
// one that runs, and returns when that has ended. If it fails the former is the
// host's agent again.
func (h *host) replace(ctx context.Context) error {
	// Nothing is touched before the image is there.
	_, err := h.agentImage(ctx)
	if err == nil {
		err = h.setAside(ctx)
	}
	if err == nil {
		if err = h.succeed(ctx); err != nil {
			err = errors.Join(err, h.bringBack(context.WithoutCancel(ctx)))
		}
	}
	if err != nil {
		return fmt.Errorf("replacing the agent, container %s: %w", h.Name, err)
	}
	return h.removeFormer(context.WithoutCancel(ctx))
}

// succeed starts the new agent and waits until the former has ended. From when the
// new one has been started nobody here knows which of the two serves, and so
// neither an interrupt nor a connection that breaks ends the wait.
func (h *host) succeed(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	starting, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	if err := h.ensure(starting); err != nil {
		return err
	}
	ctx, cancel = context.WithTimeoutCause(ctx, takeOverTimeout, fmt.Errorf("the new one has not taken over within %s", takeOverTimeout))
	defer cancel()
	_, err := backoff.Retry(ctx, func() (struct{}, error) { return struct{}{}, h.awaitSuccession(ctx) }, backoff.WithMaxElapsedTime(0))
	return err
}

// awaitSuccession waits until the former has ended. What is wrong with the wait
// itself is no permanent error.
func (h *host) awaitSuccession(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	former := h.awaitEnd(ctx, h.formerName(), container.WaitConditionNotRunning)
	next := h.awaitEnd(ctx, h.Name, container.WaitConditionNextExit)
	select {
	case err := <-former:
		return ignoreGone(err)
	case err := <-next:
		if err != nil {
			return err
		}
		return backoff.Permanent(fmt.Errorf("the new one ended: %s", h.lastWords(ctx)))
	}
}

// awaitEnd sends nil when the container is in the condition, or what is wrong with
// the wait. The library's own channels have to be read in any case.
func (h *host) awaitEnd(ctx context.Context, name string, condition container.WaitCondition) <-chan error {
	wait := h.engine.ContainerWait(ctx, name, client.ContainerWaitOptions{Condition: condition})
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

// lastWords are the last lines that the agent wrote.
func (h *host) lastWords(ctx context.Context) string {
	lines, err := h.engine.logs(ctx, h.Name, 3)
	if err != nil {
		return err.Error()
	}
	return strings.Join(lines, "\n")
}

// setAside gives the agent's container another name, for a new one to have its
// own. It is not to be started again once it has ended. Containers go by their IDs
// here: another process may replace the agent at the same time.
func (h *host) setAside(ctx context.Context) error {
	present, err := h.engine.ContainerInspect(ctx, h.Name, client.ContainerInspectOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	// The container of an earlier one, which has ended, is in the way. One that has
	// not is the agent: a process that replaces it goes on, or died in the middle.
	if err := h.removeFormer(ctx); err != nil {
		return err
	}
	_, err = h.engine.ContainerInspect(ctx, h.formerName(), client.ContainerInspectOptions{})
	if !errdefs.IsNotFound(err) {
		return err
	}
	if present.Container.ID == "" {
		// There is nothing left to take over from.
		return nil
	}
	err = h.restart(ctx, present.Container.ID, container.RestartPolicyDisabled)
	if err == nil {
		_, err = h.engine.ContainerRename(ctx, present.Container.ID, client.ContainerRenameOptions{NewName: h.formerName()})
	}
	if err == nil {
		return nil
	}
	undoing := context.WithoutCancel(ctx)
	former, unknown := h.engine.ContainerInspect(undoing, h.formerName(), client.ContainerInspectOptions{})
	if unknown == nil && former.Container.ID == present.Container.ID {
		// It has the name: the other process gave it, or this one, whose answer was lost.
		return nil
	}
	return errors.Join(err, ignoreGone(h.restart(undoing, present.Container.ID, container.RestartPolicyUnlessStopped)))
}

// bringBack makes the former the host's agent again, unless it has ended: then the
// new one is all there is.
func (h *host) bringBack(ctx context.Context) error {
	next, err := h.engine.ContainerInspect(ctx, h.Name, client.ContainerInspectOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	former, err := h.engine.ContainerInspect(ctx, h.formerName(), client.ContainerInspectOptions{})
	if err != nil || !former.Container.State.Running {
		// Where it is gone another process has brought it back, or removed it.
		return ignoreGone(err)
	}
	if next.Container.ID != "" {
		_, err = h.engine.ContainerRemove(ctx, next.Container.ID, client.ContainerRemoveOptions{Force: true})
		if ignoreGone(err) != nil {
			return err
		}
	}
	if _, err := h.engine.ContainerRename(ctx, former.Container.ID, client.ContainerRenameOptions{NewName: h.Name}); err != nil {
		return err
	}
	return h.restart(ctx, former.Container.ID, container.RestartPolicyUnlessStopped)
}

func (h *host) restart(ctx context.Context, id string, policy container.RestartPolicyMode) error {
	_, err := h.engine.ContainerUpdate(ctx, id, client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: policy}})
	return err
}

// removeFormer removes the container of an agent that was replaced and has ended.
func (h *host) removeFormer(ctx context.Context) error {
	former, err := h.engine.ContainerInspect(ctx, h.formerName(), client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if former.Container.Config.Labels[labelAgent] != h.Name {
		return &ForeignError{"container", h.formerName()}
	}
	if former.Container.State.Running {
		return nil
	}
	if _, err := h.engine.ContainerRemove(ctx, former.Container.ID, client.ContainerRemoveOptions{}); err != nil {
		return ignoreGone(err)
	}
	return h.removeImage(ctx, former.Container.Image)
}
