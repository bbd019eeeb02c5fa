// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/containers"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// engine is the Docker engine of the agent's host.
type engine interface {
	// Check returns an error unless the engine answers.
	Check(ctx context.Context) error
	// Container returns the container of a replica, without asking the engine.
	Container(r containers.Replica) container
}

// container is the container of an external replica. An error about the engine, and not
// about the container, wraps bluegreen.ErrCouldNotAsk.
type container interface {
	// Ready returns what the HEALTHCHECK of the image finds, nothing if there is none.
	Ready(ctx context.Context) bluegreen.Verdict
	// Exec runs a command; nil means that it exited with 0.
	Exec(ctx context.Context, command []string) error
	// Restart returns when the container runs again.
	Restart(ctx context.Context) error
}

// dockerEngine is the engine behind the socket in the agent's container.
type dockerEngine struct{ *containers.Engine }

func (e dockerEngine) Container(r containers.Replica) container { return e.Engine.Container(r) }

// restartTimeout is how long the restart of a container may take. The container itself
// may have a long time to stop.
const restartTimeout = 5 * time.Minute

// withEngine is a candidate that runs in a container, with what the engine can do for it.
// A candidate that is a process of the agent stays as it is.
func (d *deployment) withEngine(c candidate, env bluegreen.Environment) candidate {
	if !c.isExternal || d.engine == nil {
		return c
	}
	its := d.engine.Container(containers.Replica{
		Container: c.Ref.Incarnation, Deployment: d.name, Environment: env, ID: c.id,
	})
	c.ready, c.exec = its.Ready, its.Exec
	c.restart = func() {
		go func() {
			ctx, cancel := context.WithTimeout(d.closing, restartTimeout)
			defer cancel()
			if err := its.Restart(ctx); err != nil && d.closing.Err() == nil {
				d.log.Error("replica cannot be started again", "replica", c.id, "error", err)
			}
		}()
	}
	return c
}

// getEngine answers who uses the engine, and whether it can be used.
func (a *agent) getEngine(ctx context.Context, _ *http.Request) (any, error) {
	reply := api.EngineReply{Locked: a.locks.names()}
	a.mu.Lock()
	for name, d := range a.deployments {
		if d.watchesEngine() {
			reply.Watching = append(reply.Watching, name)
		}
	}
	a.mu.Unlock()
	slices.Sort(reply.Watching)
	if a.engine == nil {
		reply.Problem = "its socket is not mounted in the agent's container"
	} else if err := a.engine.Check(ctx); err != nil {
		reply.Problem = err.Error()
	}
	return reply, nil
}

// watchesEngine reports whether the deployment asks for the engine.
func (d *deployment) watchesEngine() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.upkeep.WatchesEngine()
}
