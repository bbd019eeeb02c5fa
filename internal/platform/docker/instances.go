// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/dockerapi"
)

// Instances implements bluegreen.Workloads.
func (p *Platform) Instances(ctx context.Context, env bluegreen.Environment) (list []bluegreen.Instance, err error) {
	defer p.engine.explain(&err)
	present, err := p.containers(ctx, env)
	if err != nil {
		return nil, err
	}
	list, err = forEach(present, func(c replicaContainer) (bluegreen.Instance, error) { return p.instance(ctx, c) })
	if err != nil {
		return nil, err
	}
	unhealthy, err := p.unhealthyContainers(ctx, env)
	if err != nil {
		return nil, err
	}
	for i, instance := range list {
		if instance.Running && instance.Unready == "" {
			list[i].Unready = unhealthy[containerOf(instance.Ref())]
		}
	}
	slices.SortFunc(list, func(a, b bluegreen.Instance) int { return strings.Compare(a.ID, b.ID) })
	return list, nil
}

// incarnation returns the name of one run of a container. The agent knows the run by
// the part before the slash.
func incarnation(id, started string) string { return id + "/" + started }

// containerOf returns the ID of the container that the instance is a run of.
func containerOf(instance bluegreen.InstanceRef) string {
	id, _, _ := strings.Cut(instance.Incarnation, "/")
	return id
}

// inspectTimeout is how long the engine may take to inspect a container that does not
// run. While the engine restarts a container, it does not answer.
const inspectTimeout = 500 * time.Millisecond

// instance inspects a container. It returns which run of the container it is, and how
// the run before it ended.
func (p *Platform) instance(ctx context.Context, c replicaContainer) (bluegreen.Instance, error) {
	instance := bluegreen.Instance{ID: c.instance, Incarnation: incarnation(c.id, "")}
	inspectCtx := ctx
	if !c.isRunning() {
		var cancel context.CancelFunc
		inspectCtx, cancel = context.WithTimeout(ctx, inspectTimeout)
		defer cancel()
	}
	inspected, err := p.engine.ContainerInspect(inspectCtx, c.id, client.ContainerInspectOptions{})
	switch {
	case errdefs.IsNotFound(err):
		instance.Exit = "its container was removed"
	case err != nil && inspectCtx.Err() != nil && ctx.Err() == nil:
		instance.Exit = c.exit()
	case err != nil:
		return instance, err
	default:
		state := inspected.Container.State
		instance.Incarnation = incarnation(c.id, state.StartedAt)
		instance.Running = state.Status == container.StateRunning
		instance.Unready = p.unreadiness(inspected.Container)
		if !instance.Running {
			instance.Exit = exitOf(inspected.Container)
		} else if inspected.Container.RestartCount > 0 {
			instance.Exit = p.formerExit(ctx, inspected.Container)
		}
	}
	return instance, nil
}

// unreadiness returns why a running container is not ready, or "" if it is.
func (p *Platform) unreadiness(c container.InspectResponse) string {
	if c.NetworkSettings == nil || !addressOf(c.NetworkSettings.Networks[p.networkName()]).IsValid() {
		return "it is not connected to network " + p.networkName()
	}
	if dockerapi.HasHealthcheck(c.State) && c.State.Health.Status != container.Healthy {
		return dockerapi.HealthError(c.State.Health).Error()
	}
	return ""
}

// verdictTimeout is how long the agent may take to say which containers are unhealthy.
const verdictTimeout = 5 * time.Second

// unhealthyContainers returns why the agent finds containers of env unhealthy, by their
// ID. If the agent does not answer, it returns none.
func (p *Platform) unhealthyContainers(ctx context.Context, env bluegreen.Environment) (map[string]string, error) {
	limited, cancel := context.WithTimeout(ctx, verdictTimeout)
	defer cancel()
	found, err := p.client.Instances(limited, p.name, env)
	if err != nil {
		return nil, ctx.Err()
	}
	unhealthy := map[string]string{}
	for _, instance := range found {
		if instance.Unready != "" {
			unhealthy[instance.Incarnation] = instance.Unready
		}
	}
	return unhealthy, nil
}

// countRunning sets Status.Running and Status.Unready to the number of containers in
// each environment.
func (p *Platform) countRunning(ctx context.Context, status *bluegreen.Status) error {
	list, err := p.engine.ContainerList(ctx, client.ContainerListOptions{
		Filters: p.deploymentFilter().Add("status", string(container.StateRunning)),
	})
	if err != nil {
		return err
	}
	status.Running, status.Unready = map[bluegreen.Environment]int{}, map[bluegreen.Environment]int{}
	unhealthy := map[bluegreen.Environment]map[string]string{}
	for _, env := range bluegreen.Environments() {
		if status.Ledger.Slot(env).Release == nil {
			continue
		}
		if unhealthy[env], err = p.unhealthyContainers(ctx, env); err != nil {
			return err
		}
	}
	for _, item := range list.Items {
		env := bluegreen.Environment(item.Labels[labelEnvironment])
		ref := bluegreen.InstanceRef{ID: item.Labels[labelReplica], Incarnation: incarnation(item.ID, "")}
		if !status.Ledger.Slot(env).IsCounted(ref, p.CanReceiveTraffic) {
			continue
		}
		status.Running[env]++
		if unreadyStatus.MatchString(item.Status) || unhealthy[env][item.ID] != "" ||
			!p.replicaContainerOf(item).isConnected() {
			status.Unready[env]++
		}
	}
	return nil
}

// unreadyStatus matches the status of a container whose HEALTHCHECK does not pass, or
// has not run yet, such as "Up 2 seconds (health: starting)".
var unreadyStatus = regexp.MustCompile(`\((unhealthy|health: starting)\)$`)

// Dial implements bluegreen.Workloads. The agent opens the connection, because it is on
// the instance's network.
func (p *Platform) Dial(ctx context.Context, instance bluegreen.Instance) (conn net.Conn, err error) {
	defer p.engine.explain(&err)
	env, err := environmentOf(instance)
	if err != nil {
		return nil, err
	}
	conn, err = p.client.DialReplica(ctx, p.name, env, instance.Ref())
	return conn, explainUnanswered(err)
}

// environmentOf returns the environment that an instance's ID, such as "green-1",
// begins with.
func environmentOf(instance bluegreen.Instance) (bluegreen.Environment, error) {
	name, _, _ := strings.Cut(instance.ID, "-")
	env, err := bluegreen.ParseEnvironment(name)
	if err != nil {
		return "", fmt.Errorf("instance %q: %w", instance.ID, err)
	}
	return env, nil
}
