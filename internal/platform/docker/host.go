// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
)

const (
	// volumePath is where the agent's container has its volume. The state is in a
	// directory inside, because that must be the agent's alone.
	volumePath = "/var/lib/bluegreen"
	statePath  = volumePath + "/state"
)

// startTimeout is how long an agent may take to answer after it was started. It
// may have to wait for another that is being removed.
const startTimeout = time.Minute

// connectPatience is how long an agent that has just been started, which every
// agent has whose container runs, may take to listen.
const connectPatience = "10s"

// stopSeconds is how long the agent may take to let what is in flight finish.
const stopSeconds = 60

// host is a Docker host as far as its agent is concerned.
type host struct {
	Agent
	engine *engine
	images images
	// program is the path of the program that the agent's image is built from.
	program func() (string, error)
	// imaging and renewing are the session's.
	imaging, renewing turn
}

// launching makes an attempt that the agent must answer, and starts the agent
// and repeats the attempt while none answers. An agent that is older than this
// program is replaced.
func (h *host) launching(ctx context.Context, attempt func() error) error {
	err := attempt()
	if older(err) {
		err = h.renewing.take(ctx, func() error {
			// Whoever had the turn before may have replaced it.
			if err := attempt(); !older(err) {
				return err
			}
			if err := h.renewOlder(ctx); err != nil {
				return err
			}
			return attempt()
		})
	}
	if !agent.Startable(err) {
		return h.versioned(err)
	}
	if err := h.prepare(ctx); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout, fmt.Errorf("the agent, container %s, did not answer within %s", h.Name, startTimeout))
	defer cancel()
	pauses := backoff.NewExponentialBackOff()
	pauses.InitialInterval, pauses.MaxInterval = 10*time.Millisecond, 500*time.Millisecond
	last := err
	_, err = backoff.Retry(ctx, func() (struct{}, error) {
		if err := h.ensure(ctx); err != nil {
			return struct{}{}, err
		}
		err := attempt()
		if err != nil && !agent.Startable(err) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithBackOff(pauses), backoff.WithMaxElapsedTime(0), backoff.WithNotify(func(err error, _ time.Duration) { last = err }))
	if err != nil && errors.Is(err, context.Cause(ctx)) {
		return fmt.Errorf("%w: %w", err, h.versioned(last))
	}
	return h.versioned(err)
}

// prepare brings the agent's image to a host without an agent. How long that takes
// is up to the connection.
func (h *host) prepare(ctx context.Context) error {
	_, err := h.engine.ContainerInspect(ctx, h.Name, client.ContainerInspectOptions{})
	if errdefs.IsNotFound(err) {
		_, err = h.agentImage(ctx)
	}
	return err
}

// ensure starts the agent's container, which it makes if need be. However many
// do so at the same time, one container comes of it. An error that is not
// permanent is gone when whoever is in the way is done.
func (h *host) ensure(ctx context.Context) error {
	err := h.create(ctx)
	if err != nil && !errdefs.IsConflict(err) {
		return err
	}
	_, err = h.engine.ContainerStart(ctx, h.Name, client.ContainerStartOptions{})
	switch {
	case err == nil, errdefs.IsNotFound(err), errdefs.IsConflict(err):
		// One that is being removed is made again at the next attempt.
		return nil
	default:
		return backoff.Permanent(fmt.Errorf("starting the agent, container %s: %w", h.Name, err))
	}
}

// create makes the agent's container if there is none, and does not start it.
func (h *host) create(ctx context.Context) error {
	present, err := h.engine.ContainerInspect(ctx, h.Name, client.ContainerInspectOptions{})
	if err == nil {
		if present.Container.Config.Labels[labelAgent] != h.Name {
			return backoff.Permanent(&ForeignError{"container", h.Name})
		}
		return nil
	}
	if !errdefs.IsNotFound(err) {
		return backoff.Permanent(err)
	}
	image, err := h.agentImage(ctx)
	if err != nil {
		return backoff.Permanent(err)
	}
	if err := h.ensureVolume(ctx); err != nil {
		return backoff.Permanent(err)
	}
	_, err = h.engine.ContainerCreate(ctx, h.container(image))
	switch {
	case err == nil, errdefs.IsConflict(err):
		return err
	case errdefs.IsNotFound(err):
		// The image went with another agent, just now.
		return err
	default:
		return backoff.Permanent(fmt.Errorf("making the agent, container %s: %w", h.Name, err))
	}
}

// container is how the agent's container is made. It has the host's network: a
// deployment that listens on another port interrupts nobody, and clients keep
// their addresses.
func (h *host) container(image string) client.ContainerCreateOptions {
	patience := stopSeconds
	// Where the volume has gone with another agent just now, the engine makes it anew.
	volume := mount.Mount{Type: mount.TypeVolume, Source: h.Name, Target: volumePath, VolumeOptions: &mount.VolumeOptions{Labels: h.labels()}}
	return client.ContainerCreateOptions{
		Name: h.Name,
		Config: &container.Config{
			Image:      image,
			Entrypoint: []string{AgentProgram},
			// Where another one serves, it is that one's successor.
			Cmd:    []string{"agent", "-state-dir", statePath, "-linger", agent.LingerForever, "-take-over"},
			Labels: h.labels(),
			// The agent's image is no user's; nothing in it needs another.
			User:        "0:0",
			StopTimeout: &patience,
		},
		HostConfig: &container.HostConfig{
			NetworkMode: "host",
			// Where the engine maps users, the host's network is only for its own.
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

// labels tell what belongs to this agent.
func (h *host) labels() map[string]string { return map[string]string{labelAgent: h.Name} }

func (h *host) ensureVolume(ctx context.Context) error {
	// What is there already is returned as it is.
	made, err := h.engine.VolumeCreate(ctx, client.VolumeCreateOptions{Name: h.Name, Labels: h.labels()})
	if err != nil {
		return fmt.Errorf("making the agent's volume: %w", err)
	}
	if made.Volume.Labels[labelAgent] != h.Name {
		return &ForeignError{"volume", h.Name}
	}
	return nil
}

// dismantle removes the agent and everything of it. What another agent needs, or
// one that was just started in its place, stays.
func (h *host) dismantle(ctx context.Context) error {
	if _, err := h.engine.ContainerRemove(ctx, h.formerName(), client.ContainerRemoveOptions{Force: true}); ignoreGone(err) != nil {
		return err
	}
	present, err := h.engine.ContainerInspect(ctx, h.Name, client.ContainerInspectOptions{})
	if err != nil {
		return ignoreGone(err)
	}
	if _, err := h.engine.ContainerRemove(ctx, present.Container.ID, client.ContainerRemoveOptions{Force: true}); ignoreGone(err) != nil {
		return err
	}
	_, err = h.engine.VolumeRemove(ctx, h.Name, client.VolumeRemoveOptions{})
	return errors.Join(ignoreGone(err), h.removeImage(ctx, present.Container.Image))
}

// removeImage removes the image of an agent if it was built for it.
func (h *host) removeImage(ctx context.Context, id string) error {
	image, err := h.engine.ImageInspect(ctx, id)
	if err == nil && image.Config != nil && image.Config.Labels[labelAgent] == h.Name {
		_, err = h.engine.ImageRemove(ctx, id, client.ImageRemoveOptions{})
	}
	return ignoreGone(err)
}

// ignoreGone is nil for what has gone, or is needed again.
func ignoreGone(err error) error {
	if errdefs.IsNotFound(err) || errdefs.IsConflict(err) {
		return nil
	}
	return err
}
