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
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// replicaContainer is a container of an environment that exists on the host.
type replicaContainer struct {
	id, instance, fingerprint string
	number                    int
	state                     container.ContainerState
	// status is the engine's text about the state, such as "Up 2 seconds".
	status string
	// isAttached is false if the container was disconnected from the deployment's network.
	isAttached bool
	// address is the container's address in the deployment's network. It is the zero
	// value while the container has none.
	address netip.Addr
}

func (c replicaContainer) isRunning() bool { return c.state == container.StateRunning }

// isConnected reports whether the container has an address in the deployment's network.
// A container that does not run has none.
func (c replicaContainer) isConnected() bool { return c.address.IsValid() }

// addressOf returns the address of a container's endpoint in a network. The endpoint is
// nil, and the address the zero value, if the container was disconnected from the network.
func addressOf(endpoint *network.EndpointSettings) netip.Addr {
	if endpoint == nil {
		return netip.Addr{}
	}
	return endpoint.IPAddress
}

// isComplete reports whether the container was created in full. A container that was
// never started may lack a network.
func (c replicaContainer) isComplete() bool {
	switch c.state {
	case container.StateRunning, container.StateRestarting, container.StatePaused, container.StateExited:
		return true
	default:
		return false
	}
}

// canBeAt reports whether the container may have address. It returns false for a
// container that was created again by hand, with the same labels, at another address.
func (c replicaContainer) canBeAt(address netip.Addr) bool {
	return !c.isConnected() || c.address == address
}

// containers lists the containers of env, running or not, ordered by number.
func (p *Platform) containers(ctx context.Context, env bluegreen.Environment) ([]replicaContainer, error) {
	options := client.ContainerListOptions{All: true, Filters: p.environmentFilter(env)}
	list, err := p.engine.ContainerList(ctx, options)
	if err != nil {
		return nil, err
	}
	containers := make([]replicaContainer, 0, len(list.Items))
	for _, item := range list.Items {
		containers = append(containers, p.replicaContainerOf(item))
	}
	slices.SortFunc(containers, func(a, b replicaContainer) int {
		return cmp.Or(cmp.Compare(a.number, b.number), strings.Compare(a.id, b.id))
	})
	return containers, nil
}

func (p *Platform) replicaContainerOf(item container.Summary) replicaContainer {
	instance := item.Labels[labelReplica]
	_, digits, _ := strings.Cut(instance, "-")
	number, _ := strconv.Atoi(digits)
	c := replicaContainer{
		id: item.ID, instance: instance, fingerprint: item.Labels[labelFingerprint], number: number,
		state: item.State, status: item.Status,
	}
	if item.NetworkSettings != nil {
		endpoint := item.NetworkSettings.Networks[p.networkName()]
		c.isAttached, c.address = endpoint != nil, addressOf(endpoint)
	}
	return c
}

// createReplica creates and starts the container of a replica, and returns its ID.
func (p *Platform) createReplica(ctx context.Context, spec containerSpec, r replica) (id string, err error) {
	options := p.createOptions(spec, r)
	created, err := p.engine.ContainerCreate(ctx, options)
	if errdefs.IsConflict(err) {
		return "", p.explainConflict(ctx, options.Name, err)
	}
	if err != nil {
		return "", fmt.Errorf("creating container %s: %w", options.Name, err)
	}
	if name := spec.Workload.Network; name != "" {
		_, err = p.engine.NetworkConnect(ctx, name, client.NetworkConnectOptions{Container: created.ID})
		if err != nil {
			return "", fmt.Errorf("connecting container %s to network %s: %w", options.Name, name, err)
		}
	}
	return created.ID, p.start(ctx, created.ID, options.Name)
}

// explainConflict returns a nameConflictError if the container that has the name does
// not belong to this deployment.
func (p *Platform) explainConflict(ctx context.Context, name string, conflict error) error {
	other, err := p.engine.ContainerInspect(ctx, name, client.ContainerInspectOptions{})
	if err != nil || p.isOwn(other.Container.Config.Labels) {
		return fmt.Errorf("creating container %s: %w", name, conflict)
	}
	return &nameConflictError{"container", name}
}

func (p *Platform) start(ctx context.Context, id, name string) error {
	if _, err := p.engine.ContainerStart(ctx, id, client.ContainerStartOptions{}); err != nil {
		return fmt.Errorf("starting container %s: %w", name, err)
	}
	return nil
}

// ensureConnected connects the container of a replica to the deployment's network again
// if it was disconnected.
func (p *Platform) ensureConnected(ctx context.Context, c replicaContainer, r replica) error {
	if c.isAttached {
		return nil
	}
	_, err := p.engine.NetworkConnect(ctx, p.networkName(), client.NetworkConnectOptions{
		Container: c.id, EndpointConfig: r.networkEndpoint(),
	})
	if err != nil {
		name := p.containerName(c.instance)
		return fmt.Errorf("connecting container %s to network %s: %w", name, p.networkName(), err)
	}
	return nil
}

// ensureRunning starts a container that does not run. A container that the engine is
// about to restart is left to the engine.
func (p *Platform) ensureRunning(ctx context.Context, c replicaContainer) error {
	switch c.state {
	case container.StateRunning, container.StateRestarting:
		return nil
	case container.StatePaused:
		_, err := p.engine.ContainerUnpause(ctx, c.id, client.ContainerUnpauseOptions{})
		return err
	default:
		return p.start(ctx, c.id, p.containerName(c.instance))
	}
}

// removeContainers stops containers, all at the same time, and removes them.
func (p *Platform) removeContainers(ctx context.Context, containers []replicaContainer) error {
	_, err := forEach(containers, func(c replicaContainer) (struct{}, error) {
		return struct{}{}, p.removeContainer(ctx, c)
	})
	return err
}

func (p *Platform) removeContainer(ctx context.Context, c replicaContainer) error {
	_, err := p.engine.ContainerStop(ctx, c.id, client.ContainerStopOptions{})
	if err == nil || errdefs.IsConflict(err) {
		// Anonymous volumes that the image declares are removed with the container.
		options := client.ContainerRemoveOptions{Force: true, RemoveVolumes: true}
		_, err = p.engine.ContainerRemove(ctx, c.id, options)
	}
	if errdefs.IsConflict(err) {
		err = p.awaitRemoval(ctx, c.id)
	}
	if err == nil || errdefs.IsNotFound(err) {
		return nil
	}
	name := p.containerName(c.instance)
	return fmt.Errorf("removing container %s: %w; if the next run cannot remove it either, run `docker rm --force %s`",
		name, err, name)
}

// awaitRemoval waits until a container is gone that another process is removing.
func (p *Platform) awaitRemoval(ctx context.Context, id string) error {
	wait := p.engine.ContainerWait(ctx, id, client.ContainerWaitOptions{Condition: container.WaitConditionRemoved})
	select {
	case <-wait.Result:
		return nil
	case err := <-wait.Error:
		return err
	}
}

// forEach calls do for all items at the same time. It returns the results in the order
// of the items, and all errors joined.
func forEach[T, R any](items []T, do func(T) (R, error)) ([]R, error) {
	results, failures := make([]R, len(items)), make([]error, len(items))
	var group sync.WaitGroup
	for i, item := range items {
		group.Go(func() { results[i], failures[i] = do(item) })
	}
	group.Wait()
	return results, errors.Join(failures...)
}
