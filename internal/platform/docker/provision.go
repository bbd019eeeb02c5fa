// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/moby/moby/api/types/container"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Prepare implements bluegreen.Workloads. It pulls the image if the host needs it.
func (p *Platform) Prepare(ctx context.Context, release bluegreen.Release) (digest string, err error) {
	defer p.engine.explain(&err)
	if _, err := p.currentLock(); err != nil {
		return "", err
	}
	return p.images.pin(ctx, release)
}

// Provision implements bluegreen.Workloads.
func (p *Platform) Provision(
	ctx context.Context, env bluegreen.Environment, release bluegreen.Release,
) (digest string, err error) {
	defer p.engine.explain(&err)
	lock, err := p.currentLock()
	if err != nil {
		return "", err
	}
	workload, err := workloadOf(release)
	if err != nil {
		return "", err
	}
	image, err := p.images.pin(ctx, release)
	if err != nil {
		return "", err
	}
	spec := containerSpec{
		Version: release.Version, Image: image, Reference: release.Image,
		Command: release.Command, Args: release.Args, Env: release.Variables(), Workload: workload,
		Triggers: release.TriggersDigest(),
	}
	encoded, err := json.Marshal(spec)
	if err != nil {
		return "", fmt.Errorf("encoding the container spec of %s: %w", env, err)
	}
	if err := lock.StoreContainerSpec(ctx, env, encoded); err != nil {
		return "", err
	}
	return image, p.converge(ctx, lock, env, spec, release.Replicas)
}

// Scale implements bluegreen.Workloads.
func (p *Platform) Scale(ctx context.Context, env bluegreen.Environment, replicas int) (err error) {
	defer p.engine.explain(&err)
	lock, err := p.currentLock()
	if err != nil {
		return err
	}
	spec, err := storedSpec(ctx, lock, env)
	if err != nil {
		return err
	}
	return p.converge(ctx, lock, env, spec, replicas)
}

// storedSpec returns the container spec that was provisioned in env last, or
// bluegreen.ErrNotProvisioned if there is none or it is lost.
func storedSpec(
	ctx context.Context, lock *agentclient.Lock, env bluegreen.Environment,
) (spec containerSpec, err error) {
	encoded, err := lock.ContainerSpec(ctx, env)
	if err != nil {
		return spec, err
	}
	if len(encoded) == 0 {
		return spec, fmt.Errorf("%w: no container spec is stored for %s: deploy a release first",
			bluegreen.ErrNotProvisioned, env)
	}
	if err := json.Unmarshal(encoded, &spec); err != nil {
		return spec, fmt.Errorf("reading the container spec of %s: %w", env, err)
	}
	return spec, nil
}

// replaceRoutes sends the traffic of env to the replicas in left only, and removes the
// other containers once their requests in flight have ended.
func (p *Platform) replaceRoutes(
	ctx context.Context, lock *agentclient.Lock, env bluegreen.Environment,
	left []agentclient.ExternalReplica, remove []replicaContainer,
) error {
	if err := lock.Route(ctx, env, left); err != nil {
		return err
	}
	return p.removeContainers(ctx, remove)
}

// Remove implements bluegreen.Workloads. The agent forgets the replicas before their
// containers are removed, so that none of them receives traffic half-way.
func (p *Platform) Remove(ctx context.Context, env bluegreen.Environment) (err error) {
	defer p.engine.explain(&err)
	lock, err := p.currentLock()
	if err != nil {
		return err
	}
	if err := lock.Remove(ctx, env); err != nil {
		return err
	}
	present, err := p.containers(ctx, env)
	if err != nil {
		return err
	}
	return p.removeContainers(ctx, present)
}

// converge makes env run size containers of the spec and nothing else.
func (p *Platform) converge(
	ctx context.Context, lock *agentclient.Lock, env bluegreen.Environment, spec containerSpec, size int,
) error {
	subnet, err := p.ensureNetwork(ctx)
	if err != nil {
		return err
	}
	replicas, err := subnet.replicas(env, size)
	if err != nil {
		return err
	}
	present, err := p.containers(ctx, env)
	if err != nil {
		return err
	}
	keep, remove := spec.selectContainers(present, replicas)
	if len(keep) < size {
		// If all containers were removed, the image may have been removed too.
		if _, err := p.images.pin(ctx, bluegreen.Release{Image: spec.Reference, ImageDigest: spec.Image}); err != nil {
			return err
		}
	}
	if len(remove) > 0 {
		left := externalReplicas(replicas, keep, spec.Workload.Port)
		if err := p.replaceRoutes(ctx, lock, env, left, remove); err != nil {
			return err
		}
	}
	running, err := forEach(replicas, func(r replica) (replicaContainer, error) {
		return p.ensureReplica(ctx, spec, r, keep)
	})
	if err != nil {
		return err
	}
	return lock.Route(ctx, env, externalReplicas(replicas, running, spec.Workload.Port))
}

// ensureReplica makes the container of one replica run. It uses the container in keep
// if there is one, and creates a container otherwise.
func (p *Platform) ensureReplica(
	ctx context.Context, spec containerSpec, r replica, keep []replicaContainer,
) (replicaContainer, error) {
	at := slices.IndexFunc(keep, func(c replicaContainer) bool { return c.number == r.number })
	if at >= 0 {
		if err := p.ensureConnected(ctx, keep[at], r); err != nil {
			return replicaContainer{}, err
		}
		return keep[at], p.ensureRunning(ctx, keep[at])
	}
	id, err := p.createReplica(ctx, spec, r)
	return replicaContainer{id: id, instance: r.id(), number: r.number, state: container.StateRunning}, err
}

// selectContainers separates the containers to keep, at most one for each replica, from
// those to remove.
func (s containerSpec) selectContainers(
	present []replicaContainer, replicas []replica,
) (keep, remove []replicaContainer) {
	fingerprint, taken := s.fingerprint(), map[int]bool{}
	isUsable := func(c replicaContainer) bool {
		return c.fingerprint == fingerprint && c.isComplete() && c.number >= 1 && c.number <= len(replicas) &&
			c.canBeAt(replicas[c.number-1].address) && !taken[c.number]
	}
	for _, c := range present {
		if isUsable(c) {
			taken[c.number] = true
			keep = append(keep, c)
		} else {
			remove = append(remove, c)
		}
	}
	return keep, remove
}

// replicas returns the places of an environment of the given size.
func (s subnet) replicas(env bluegreen.Environment, size int) ([]replica, error) {
	list := make([]replica, 0, size)
	for number := 1; number <= size; number++ {
		address, err := s.address(env, number)
		if err != nil {
			return nil, err
		}
		list = append(list, replica{env, number, address})
	}
	return list, nil
}

// externalReplicas returns the containers as the agent knows them: their IDs, and the
// addresses that it sends traffic to.
func externalReplicas(replicas []replica, containers []replicaContainer, port int) []agentclient.ExternalReplica {
	list := make([]agentclient.ExternalReplica, 0, len(containers))
	for _, c := range containers {
		address := replicas[c.number-1].endpoint(port)
		list = append(list, agentclient.ExternalReplica{ID: c.instance, Incarnation: c.id, Address: address})
	}
	return list
}
