// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// networkAttempts is how often another network that is created at the same time may
// take the subnet.
const networkAttempts = 10

// subnet is the address range of the deployment's network. The engine assigns addresses
// of the lower half. The upper half is for the replicas.
type subnet netip.Prefix

func (p *Platform) networkName() string { return "bluegreen-" + p.name }

// ensureNetwork returns the subnet of the deployment's network. It creates the network
// if there is none.
//
// A container can have a fixed address only if the network was created with an explicit
// subnet. So ensureNetwork first creates a temporary network to learn which subnet the
// engine considers free, and then creates the network with that subnet.
func (p *Platform) ensureNetwork(ctx context.Context) (subnet, error) {
	var refused error
	for range networkAttempts {
		found, err := p.engine.NetworkInspect(ctx, p.networkName(), client.NetworkInspectOptions{})
		if err == nil {
			return p.subnetOf(found.Network)
		}
		if !errdefs.IsNotFound(err) {
			return subnet{}, err
		}
		free, err := p.freeSubnet(ctx)
		if err != nil {
			return subnet{}, err
		}
		_, refused = p.engine.NetworkCreate(ctx, p.networkName(), client.NetworkCreateOptions{
			Driver: "bridge", Labels: p.labels(),
			IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: netip.Prefix(free), IPRange: free.lowerHalf()}}},
		})
		if client.IsErrConnectionFailed(refused) || ctx.Err() != nil {
			return subnet{}, refused
		}
	}
	return subnet{}, fmt.Errorf("creating network %s: %w", p.networkName(), refused)
}

// freeSubnet returns a subnet that the engine would assign to a new network now.
func (p *Platform) freeSubnet(ctx context.Context) (subnet, error) {
	name := p.networkName() + "-probe"
	// A process that died may have left its temporary network.
	if err := p.removeNetwork(ctx, name); err != nil {
		return subnet{}, err
	}
	options := client.NetworkCreateOptions{Driver: "bridge", Labels: p.labels()}
	created, err := p.engine.NetworkCreate(ctx, name, options)
	if err != nil {
		return subnet{}, fmt.Errorf("creating network %s: %w", name, err)
	}
	found, err := p.engine.NetworkInspect(ctx, created.ID, client.NetworkInspectOptions{})
	cleanup, cancel := cleanupContext(ctx)
	defer cancel()
	if err := errors.Join(err, p.removeNetwork(cleanup, created.ID)); err != nil {
		return subnet{}, err
	}
	return p.subnetOf(found.Network)
}

func (p *Platform) subnetOf(n network.Inspect) (subnet, error) {
	if !p.isOwn(n.Labels) {
		return subnet{}, &nameConflictError{"network", n.Name}
	}
	for _, c := range n.IPAM.Config {
		if c.Subnet.Addr().Is4() {
			return subnet(c.Subnet.Masked()), nil
		}
	}
	return subnet{}, fmt.Errorf("network %s has no IPv4 subnet", n.Name)
}

// removeNetworks removes the deployment's network, and a temporary network that a
// process has left.
func (p *Platform) removeNetworks(ctx context.Context) error {
	list, err := p.engine.NetworkList(ctx, client.NetworkListOptions{Filters: p.deploymentFilter()})
	if err != nil {
		return err
	}
	for _, n := range list.Items {
		if err := p.removeNetwork(ctx, n.ID); err != nil {
			return err
		}
	}
	return nil
}

// removeNetwork removes a network if it belongs to the deployment. It returns nil if
// there is none.
func (p *Platform) removeNetwork(ctx context.Context, name string) error {
	found, err := p.engine.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if err == nil && p.isOwn(found.Network.Labels) {
		_, err = p.engine.NetworkRemove(ctx, found.Network.ID, client.NetworkRemoveOptions{})
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// lowerHalf returns the half that the engine assigns addresses from.
func (s subnet) lowerHalf() netip.Prefix {
	whole := netip.Prefix(s)
	return netip.PrefixFrom(whole.Addr(), whole.Bits()+1)
}

// address returns the address of a replica, counted from 1. Blue has the third quarter
// of the subnet, and green has the fourth without the network's broadcast address.
func (s subnet) address(env bluegreen.Environment, number int) (netip.Addr, error) {
	whole := netip.Prefix(s)
	quarter := 1 << max(32-whole.Bits()-2, 0)
	room := quarter - 2
	if number > room {
		return netip.Addr{}, fmt.Errorf("the subnet %s has room for %d replicas, not for %d; "+
			"give the engine larger default-address-pools", whole, max(room, 0), number)
	}
	offset := 2 * quarter
	if env == bluegreen.Green {
		offset = 3 * quarter
	}
	bytes := whole.Addr().As4()
	binary.BigEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(bytes[:])+uint32(offset+number))
	return netip.AddrFrom4(bytes), nil
}
