// SPDX-License-Identifier: MPL-2.0

package containers

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/dockerapi"
)

// Replica names the container of an external replica, and the labels that it must have.
type Replica struct {
	// Container is the ID of the container.
	Container   string
	Deployment  string
	Environment bluegreen.Environment
	// ID is that of the replica, such as "green-1".
	ID string
}

// Container is the container of one replica. It is safe for concurrent use.
type Container struct {
	engine  *Engine
	replica Replica

	mu sync.Mutex
	// isOwn is set once the labels were found to be those of the replica.
	isOwn bool
	// hasNoHealthcheck is set once that is known of the image.
	hasNoHealthcheck bool
	// running is the exec of a command that was not waited for to its end, "" for none.
	running string
}

// Container returns the container of a replica. It asks the engine nothing yet.
func (e *Engine) Container(r Replica) *Container { return &Container{engine: e, replica: r} }

// errForeign means that a container is not the one of its replica.
var errForeign = errors.New("the container does not carry the labels of this replica")

// inspect returns what the engine knows of the container, or errForeign.
func (c *Container) inspect(ctx context.Context) (container.InspectResponse, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	found, err := c.engine.api.ContainerInspect(ctx, c.replica.Container, client.ContainerInspectOptions{})
	if err = c.engine.explain(ctx, err); err != nil {
		return found.Container, err
	}
	if found.Container.Config == nil || found.Container.State == nil || !c.isOwner(found.Container.Config.Labels) {
		return found.Container, errForeign
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.isOwn = true
	return found.Container, nil
}

// isOwner reports whether a container with these labels is the one of the replica.
func (c *Container) isOwner(labels map[string]string) bool {
	for name, value := range map[string]string{
		dockerapi.LabelAgent:       c.engine.agent,
		dockerapi.LabelDeployment:  c.replica.Deployment,
		dockerapi.LabelEnvironment: string(c.replica.Environment),
		dockerapi.LabelReplica:     c.replica.ID,
	} {
		if labels[name] != value {
			return false
		}
	}
	return true
}

// requireOwn returns an error unless the container carries the labels of the replica. They
// never change, so the engine is asked once.
func (c *Container) requireOwn(ctx context.Context) error {
	c.mu.Lock()
	isOwn := c.isOwn
	c.mu.Unlock()
	if isOwn {
		return nil
	}
	_, err := c.inspect(ctx)
	return err
}

// Ready returns what the HEALTHCHECK of the image finds, nothing if the image has none or
// the container is not the replica's. While it has not decided, its cause wraps
// bluegreen.ErrCouldNotAsk, as it does while the engine does not answer.
func (c *Container) Ready(ctx context.Context) bluegreen.Verdict {
	c.mu.Lock()
	isKnown := c.hasNoHealthcheck
	c.mu.Unlock()
	if isKnown {
		return nil
	}
	found, err := c.inspect(ctx)
	switch {
	case errors.Is(err, errForeign), errdefs.IsNotFound(err):
		// The probes find out that the container is gone.
		return nil
	case err != nil:
		return bluegreen.Verdict{dockerapi.Healthcheck: err}
	case !dockerapi.HasHealthcheck(found.State):
		c.mu.Lock()
		defer c.mu.Unlock()
		c.hasNoHealthcheck = true
		return nil
	}
	switch health := found.State.Health; health.Status {
	case container.Healthy:
		return bluegreen.Verdict{dockerapi.Healthcheck: nil}
	case container.Unhealthy:
		return bluegreen.Verdict{dockerapi.Healthcheck: dockerapi.HealthError(health)}
	default:
		err := fmt.Errorf("%w: the HEALTHCHECK is %s", bluegreen.ErrCouldNotAsk, health.Status)
		return bluegreen.Verdict{dockerapi.Healthcheck: err}
	}
}

// errStillRuns is the result of a command whose last run has not ended.
var errStillRuns = errors.New("the command of an earlier probe still runs")

// Exec runs a command in the container; nil means that it exited with 0. The engine cannot
// stop a command. So while one that ctx has ended still runs, no other is started.
func (c *Container) Exec(ctx context.Context, command []string) error {
	if err := c.requireOwn(ctx); errors.Is(err, errForeign) {
		return fmt.Errorf("%w: %w", bluegreen.ErrCouldNotAsk, err)
	} else if err != nil {
		return err
	}
	if err := c.awaitFormer(ctx); err != nil {
		return err
	}
	id, err := dockerapi.Run(ctx, c.engine.api, c.replica.Container, command)
	_, hasExited := errors.AsType[*dockerapi.ExitError](err)
	switch {
	case hasExited:
		return err
	case id == "" || err == nil:
		return c.engine.explain(ctx, err)
	}
	// The time is over or the connection broke. The command may run on.
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = id
	if ctx.Err() == nil {
		return fmt.Errorf("%w: %w", bluegreen.ErrCouldNotAsk, err)
	}
	return err
}

// awaitFormer returns errStillRuns while an earlier command runs.
func (c *Container) awaitFormer(ctx context.Context) error {
	c.mu.Lock()
	former := c.running
	c.mu.Unlock()
	if former == "" {
		return nil
	}
	found, err := c.engine.api.ExecInspect(ctx, former, client.ExecInspectOptions{})
	if err = c.engine.explain(ctx, err); err != nil && !errdefs.IsNotFound(err) {
		return err
	}
	if err == nil && found.Running {
		return errStillRuns
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = ""
	return nil
}

// Restart restarts the container, and returns when it runs again.
func (c *Container) Restart(ctx context.Context) error {
	if err := c.requireOwn(ctx); err != nil {
		return err
	}
	_, err := c.engine.api.ContainerRestart(ctx, c.replica.Container, client.ContainerRestartOptions{})
	return err
}
