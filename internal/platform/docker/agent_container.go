// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"fmt"

	"github.com/cenkalti/backoff/v5"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
)

const (
	// volumePath is where the agent's container mounts its volume. The state is in a
	// directory below it, because the agent must own the state directory.
	volumePath = "/var/lib/bluegreen"
	statePath  = volumePath + "/state"
)

// stopSeconds is how long the agent may take to finish the requests in flight when its container
// is stopped.
const stopSeconds = 60

// leaveWithin is how long the agent may take for that once another one has taken over. It is
// shorter than takeOverTimeout.
const leaveWithin = "90s"

// ensureContainer creates the agent's container if there is none. It does not start it.
func (m *agentManager) ensureContainer(ctx context.Context) error {
	present, err := m.engine.ContainerInspect(ctx, m.Name, client.ContainerInspectOptions{})
	if err == nil {
		if present.Container.Config.Labels[labelAgent] != m.Name {
			return backoff.Permanent(&nameConflictError{"container", m.Name})
		}
		return nil
	}
	if !errdefs.IsNotFound(err) {
		return backoff.Permanent(err)
	}
	image, err := m.agentImage(ctx)
	if err != nil {
		return backoff.Permanent(err)
	}
	if err := m.ensureVolume(ctx); err != nil {
		return backoff.Permanent(err)
	}
	options := m.containerOptions(image)
	if m.socket != "" {
		m.addSocket(&options)
	}
	_, err = m.engine.ContainerCreate(ctx, options)
	switch {
	case err == nil, errdefs.IsConflict(err):
		return err
	case errdefs.IsNotFound(err):
		// Another process removed the image together with its agent a moment ago.
		return err
	default:
		return backoff.Permanent(fmt.Errorf("creating the agent, container %s: %w", m.Name, m.explainMount(err)))
	}
}

// containerOptions returns what the engine needs to create the agent's container. The
// container has the host's network. So a deployment that listens on another port needs
// no new container, and the addresses of the clients stay visible.
func (m *agentManager) containerOptions(image string) client.ContainerCreateOptions {
	stopTimeout := stopSeconds
	// If another process removed the volume a moment ago, the engine creates it again.
	volume := mount.Mount{
		Type: mount.TypeVolume, Source: m.Name, Target: volumePath,
		VolumeOptions: &mount.VolumeOptions{Labels: m.labels()},
	}
	return client.ContainerCreateOptions{
		Name: m.Name,
		Config: &container.Config{
			Image:      image,
			Entrypoint: []string{AgentProgram},
			// -take-over makes this agent the successor of one that runs already.
			Cmd:    []string{"agent", "-state-dir", statePath, "-linger", agentclient.LingerForever, "-take-over"},
			Env:    []string{agentclient.LeaveWithinVariable + "=" + leaveWithin},
			Labels: m.labels(),
			// The image is built for the agent alone, and no other user is in it.
			User:        "0:0",
			StopTimeout: &stopTimeout,
		},
		HostConfig: &container.HostConfig{
			NetworkMode: "host",
			// An engine that maps users allows the host's network only without the mapping.
			UsernsMode:     "host",
			RestartPolicy:  container.RestartPolicy{Name: container.RestartPolicyUnlessStopped},
			ReadonlyRootfs: true,
			CapDrop:        []string{"ALL"},
			CapAdd:         []string{"NET_BIND_SERVICE"},
			SecurityOpt:    []string{"no-new-privileges"},
			Mounts:         []mount.Mount{volume},
		},
	}
}

// labels returns the labels of everything that belongs to this agent.
func (m *agentManager) labels() map[string]string { return map[string]string{labelAgent: m.Name} }

func (m *agentManager) ensureVolume(ctx context.Context) error {
	// The engine does not change a volume that exists already.
	volume, err := m.engine.VolumeCreate(ctx, client.VolumeCreateOptions{Name: m.Name, Labels: m.labels()})
	if err != nil {
		return fmt.Errorf("creating the agent's volume: %w", err)
	}
	if volume.Volume.Labels[labelAgent] != m.Name {
		return &nameConflictError{"volume", m.Name}
	}
	return nil
}

// removeAgent removes the agent's containers, volume and image. It keeps what another
// agent uses, and an agent that another process has just started in its place.
func (m *agentManager) removeAgent(ctx context.Context) error {
	force := client.ContainerRemoveOptions{Force: true}
	_, err := m.engine.ContainerRemove(ctx, m.formerName(), force)
	if ignoreNotFoundOrConflict(err) != nil {
		return err
	}
	present, err := m.engine.ContainerInspect(ctx, m.Name, client.ContainerInspectOptions{})
	if err != nil {
		return ignoreNotFoundOrConflict(err)
	}
	_, err = m.engine.ContainerRemove(ctx, present.Container.ID, force)
	if ignoreNotFoundOrConflict(err) != nil {
		return err
	}
	_, err = m.engine.VolumeRemove(ctx, m.Name, client.VolumeRemoveOptions{})
	return errors.Join(ignoreNotFoundOrConflict(err), m.removeImage(ctx, present.Container.Image))
}

// removeImage removes the image of an agent if it was built for this agent.
func (m *agentManager) removeImage(ctx context.Context, id string) error {
	image, err := m.engine.ImageInspect(ctx, id)
	if err == nil && image.Config != nil && image.Config.Labels[labelAgent] == m.Name {
		_, err = m.engine.ImageRemove(ctx, id, client.ImageRemoveOptions{})
	}
	return ignoreNotFoundOrConflict(err)
}

// ignoreNotFoundOrConflict returns nil for the error about an object that is gone
// already, or that is in use again.
func ignoreNotFoundOrConflict(err error) error {
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return err
}
