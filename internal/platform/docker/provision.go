// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/moby/moby/api/types/container"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Provision implements bluegreen.Workloads.
func (p *Platform) Provision(ctx context.Context, env bluegreen.Environment, release bluegreen.Release) (digest string, err error) {
	defer p.engine.explain(&err)
	held, err := p.held()
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
	next := blueprint{
		Version: release.Version, Image: image, Reference: release.Image,
		Command: release.Command, Args: release.Args, Env: release.Env, Workload: workload,
	}
	encoded, err := json.Marshal(next)
	if err != nil {
		return "", fmt.Errorf("encoding the blueprint of %s: %w", env, err)
	}
	if err := held.Keep(ctx, env, encoded); err != nil {
		return "", err
	}
	return image, p.converge(ctx, held, env, next, release.Replicas)
}

// Scale implements bluegreen.Workloads.
func (p *Platform) Scale(ctx context.Context, env bluegreen.Environment, replicas int) (err error) {
	defer p.engine.explain(&err)
	held, err := p.held()
	if err != nil {
		return err
	}
	encoded, err := held.Kept(ctx, env)
	if err != nil {
		return err
	}
	if len(encoded) == 0 {
		return fmt.Errorf("nothing was provisioned in %s that could be scaled", env)
	}
	var present blueprint
	if err := json.Unmarshal(encoded, &present); err != nil {
		return fmt.Errorf("reading the blueprint of %s: %w", env, err)
	}
	return p.converge(ctx, held, env, present, replicas)
}

// Remove implements bluegreen.Workloads. The agent forgets the replicas first:
// what is removed halfway gets no traffic.
func (p *Platform) Remove(ctx context.Context, env bluegreen.Environment) (err error) {
	defer p.engine.explain(&err)
	held, err := p.held()
	if err != nil {
		return err
	}
	if err := held.Remove(ctx, env); err != nil {
		return err
	}
	present, err := p.containers(ctx, env)
	if err != nil {
		return err
	}
	return p.discard(ctx, present)
}

// converge makes env run size containers of the blueprint and nothing else.
func (p *Platform) converge(ctx context.Context, held *agent.Lock, env bluegreen.Environment, b blueprint, size int) error {
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
	stay, leave := b.sort(present, replicas)
	if len(stay) < size {
		// Where all of them had gone, the image may have gone with them.
		if _, err := p.images.pin(ctx, bluegreen.Release{Image: b.Reference, ImageDigest: b.Image}); err != nil {
			return err
		}
	}
	if len(leave) > 0 {
		// They get nothing new from here on, and finish what they have in flight.
		if err := held.Route(ctx, env, targets(replicas, stay, b.Workload.Port)); err != nil {
			return err
		}
		if err := p.discard(ctx, leave); err != nil {
			return err
		}
	}
	running, err := each(replicas, func(r replica) (found, error) { return p.ensure(ctx, b, r, stay) })
	if err != nil {
		return err
	}
	return held.Route(ctx, env, targets(replicas, running, b.Workload.Port))
}

// ensure makes the container of one replica run.
func (p *Platform) ensure(ctx context.Context, b blueprint, r replica, stay []found) (found, error) {
	if at := slices.IndexFunc(stay, func(f found) bool { return f.number == r.number }); at >= 0 {
		return stay[at], p.revive(ctx, stay[at])
	}
	id, err := p.make(ctx, b, r)
	return found{id: id, instance: r.id(), number: r.number, state: container.StateRunning}, err
}

// sort parts the containers that stay in their places, one for each, from those
// that must go.
func (b blueprint) sort(present []found, replicas []replica) (stay, leave []found) {
	fingerprint, taken := b.fingerprint(), map[int]bool{}
	for _, f := range present {
		if f.fingerprint == fingerprint && f.number >= 1 && f.number <= len(replicas) && f.whole() && f.isAt(replicas[f.number-1].address) && !taken[f.number] {
			taken[f.number] = true
			stay = append(stay, f)
		} else {
			leave = append(leave, f)
		}
	}
	return stay, leave
}

// replicas are the places of an environment of this size.
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

// targets are where the agent reaches the containers.
func targets(replicas []replica, containers []found, port int) []agent.Target {
	list := make([]agent.Target, 0, len(containers))
	for _, f := range containers {
		list = append(list, agent.Target{ID: f.instance, Incarnation: f.id, Address: replicas[f.number-1].serves(port)})
	}
	return list
}
