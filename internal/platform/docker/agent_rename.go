// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
)

// formerName returns the name of the agent's container while the agent is replaced.
func (m *agentManager) formerName() string { return m.Name + "-former" }

// renameToFormer renames the agent's container, so that a new container can have its
// name. The engine does not restart the renamed container once it has ended. The
// function uses the IDs of containers, because another process may replace the agent
// at the same time.
func (m *agentManager) renameToFormer(ctx context.Context) error {
	present, err := m.engine.ContainerInspect(ctx, m.Name, client.ContainerInspectOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	// A former container that has ended is removed, because it occupies the name. If the
	// former container still runs, it is the agent: another process is replacing it now, or
	// died before it was done.
	if err := m.removeFormer(ctx); err != nil {
		return err
	}
	_, err = m.engine.ContainerInspect(ctx, m.formerName(), client.ContainerInspectOptions{})
	if !errdefs.IsNotFound(err) {
		return err
	}
	if present.Container.ID == "" {
		// There is no agent to take over from.
		return nil
	}
	err = m.setRestartPolicy(ctx, present.Container.ID, container.RestartPolicyDisabled)
	if err == nil {
		options := client.ContainerRenameOptions{NewName: m.formerName()}
		_, err = m.engine.ContainerRename(ctx, present.Container.ID, options)
	}
	if err == nil {
		return nil
	}
	cleanup, cancel := cleanupContext(ctx)
	defer cancel()
	former, unknown := m.engine.ContainerInspect(cleanup, m.formerName(), client.ContainerInspectOptions{})
	if unknown == nil && former.Container.ID == present.Container.ID {
		// Another process has renamed the container, or this one has and the answer was lost.
		return nil
	}
	restored := m.setRestartPolicy(cleanup, present.Container.ID, container.RestartPolicyUnlessStopped)
	return errors.Join(err, ignoreNotFoundOrConflict(restored))
}

// restoreFormer makes the former agent the host's agent again. It does nothing if the
// former agent has ended, because then the new agent is the only one.
func (m *agentManager) restoreFormer(ctx context.Context) error {
	next, err := m.engine.ContainerInspect(ctx, m.Name, client.ContainerInspectOptions{})
	if err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	former, err := m.engine.ContainerInspect(ctx, m.formerName(), client.ContainerInspectOptions{})
	if err != nil || !former.Container.State.Running {
		// If it is gone, another process has restored or removed it.
		return ignoreNotFoundOrConflict(err)
	}
	if next.Container.ID != "" {
		_, err = m.engine.ContainerRemove(ctx, next.Container.ID, client.ContainerRemoveOptions{Force: true})
		if ignoreNotFoundOrConflict(err) != nil {
			return err
		}
	}
	options := client.ContainerRenameOptions{NewName: m.Name}
	if _, err := m.engine.ContainerRename(ctx, former.Container.ID, options); err != nil {
		return err
	}
	return m.setRestartPolicy(ctx, former.Container.ID, container.RestartPolicyUnlessStopped)
}

func (m *agentManager) setRestartPolicy(ctx context.Context, id string, mode container.RestartPolicyMode) error {
	options := client.ContainerUpdateOptions{RestartPolicy: &container.RestartPolicy{Name: mode}}
	_, err := m.engine.ContainerUpdate(ctx, id, options)
	return err
}

// removeFormer removes the container of an agent that was replaced, if it has ended.
func (m *agentManager) removeFormer(ctx context.Context) error {
	former, err := m.engine.ContainerInspect(ctx, m.formerName(), client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	if former.Container.Config.Labels[labelAgent] != m.Name {
		return &nameConflictError{"container", m.formerName()}
	}
	if former.Container.State.Running {
		return nil
	}
	_, err = m.engine.ContainerRemove(ctx, former.Container.ID, client.ContainerRemoveOptions{})
	if err != nil {
		return ignoreNotFoundOrConflict(err)
	}
	return m.removeImage(ctx, former.Container.Image)
}
