// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// found is a container of an environment that exists.
type found struct {
	id, instance, fingerprint string
	number                    int
	state                     container.ContainerState
	// status is the state in the engine's words.
	status string
	// address is its own in the deployment's network, where it has one now.
	address netip.Addr
}

func (f found) running() bool { return f.state == container.StateRunning }

// whole reports whether all that makes a container was done: one that was never
// started may lack a network.
func (f found) whole() bool {
	switch f.state {
	case container.StateRunning, container.StateRestarting, container.StatePaused, container.StateExited:
		return true
	default:
		return false
	}
}

// isAt reports whether the container is not known to be elsewhere. Somebody may
// have made it anew, labels and all.
func (f found) isAt(address netip.Addr) bool { return !f.address.IsValid() || f.address == address }

// containers lists what there is in env, ordered by number, whether it runs or not.
func (p *Platform) containers(ctx context.Context, env bluegreen.Environment) ([]found, error) {
	list, err := p.engine.ContainerList(ctx, client.ContainerListOptions{All: true, Filters: p.ofEnvironment(env)})
	if err != nil {
		return nil, err
	}
	containers := make([]found, 0, len(list.Items))
	for _, item := range list.Items {
		containers = append(containers, p.foundIn(item))
	}
	slices.SortFunc(containers, func(a, b found) int {
		return cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.id, b.id))
	})
	return containers, nil
}

func (p *Platform) foundIn(item container.Summary) found {
	instance := item.Labels[labelReplica]
	_, digits, _ := strings.Cut(instance, "-")
	number, _ := strconv.Atoi(digits)
	f := found{
		id: item.ID, instance: instance, fingerprint: item.Labels[labelFingerprint], number: number,
		state: item.State, status: item.Status,
	}
	if item.NetworkSettings != nil {
		if endpoint := item.NetworkSettings.Networks[p.networkName()]; endpoint != nil {
			f.address = endpoint.IPAddress
		}
	}
	return f
}

// make makes and starts the container of a replica, and returns its ID.
func (p *Platform) make(ctx context.Context, b blueprint, r replica) (id string, err error) {
	options := p.create(b, r)
	made, err := p.engine.ContainerCreate(ctx, options)
	if errdefs.IsConflict(err) {
		return "", p.inTheWay(ctx, options.Name, err)
	}
	if err != nil {
		return "", fmt.Errorf("making container %s: %w", options.Name, err)
	}
	if b.Workload.Network != "" {
		_, err = p.engine.NetworkConnect(ctx, b.Workload.Network, client.NetworkConnectOptions{Container: made.ID})
		if err != nil {
			return "", fmt.Errorf("joining container %s to network %s: %w", options.Name, b.Workload.Network, err)
		}
	}
	return made.ID, p.start(ctx, made.ID, options.Name)
}

// inTheWay says what has the name of a container that cannot be made.
func (p *Platform) inTheWay(ctx context.Context, name string, conflict error) error {
	other, err := p.engine.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil || p.owns(other.Container.Config.Labels) {
		return fmt.Errorf("making container %s: %w", name, conflict)
	}
	return &ForeignError{"container", name}
}

func (p *Platform) start(ctx context.Context, id, name string) error {
	if _, err := p.engine.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("starting container %s: %w", name, err)
	}
	return nil
}

// revive makes a container run that does not. One that the engine is about to
// start again is left to it.
func (p *Platform) revive(ctx context.Context, f found) error {
	switch f.state {
	case container.StateRunning, container.StateRestarting:
		return nil
	case container.StatePaused:
		_, err := p.engine.ContainerUnpause(ctx, f.id, client.ContainerUnpauseOptions{})
		return err
	default:
		return p.start(ctx, f.id, p.containerName(f.instance))
	}
}

// discard stops containers, all at the same time, and removes them.
func (p *Platform) discard(ctx context.Context, containers []found) error {
	_, err := each(containers, func(f found) (struct{}, error) {
		_, err := p.engine.ContainerStop(ctx, f.id, client.ContainerStopOptions{})
		if err == nil || errdefs.IsConflict(err) {
			// Anonymous volumes that the image declares go with it.
			_, err = p.engine.ContainerRemove(ctx, f.id, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
		}
		if err == nil || errdefs.IsNotFound(err) {
			return struct{}{}, nil
		}
		if errdefs.IsConflict(err) {
			return struct{}{}, p.awaitRemoval(ctx, f.id)
		}
		return struct{}{}, fmt.Errorf("removing container %s: %w", p.containerName(f.instance), err)
	})
	return err
}

// awaitRemoval waits for a container that somebody else is removing already.
func (p *Platform) awaitRemoval(ctx context.Context, id string) error {
	ended := p.engine.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	select {
	case <-ended.Result:
		return nil
	case err := <-ended.Error:
		if errdefs.IsNotFound(err) {
			return nil
		}
		return err
	}
}

// each calls do for all items at once and returns what came of each, and what went
// wrong.
func each[T, R any](items []T, do func(T) (R, error)) ([]R, error) {
	results, failures := make([]R, len(items)), make([]error, len(items))
	var group sync.WaitGroup
	for i, item := range items {
		group.Go(func() { results[i], failures[i] = do(item) })
	}
	group.Wait()
	return results, errors.Join(failures...)
}
