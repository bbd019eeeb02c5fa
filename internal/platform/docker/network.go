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

// networkAttempts is how often a subnet may be snatched away by another network
// that is made at the same time.
const networkAttempts = 10

// subnet is the address range of the deployment's network. The engine gives out
// its lower half to whoever joins; the upper half is the replicas'.
type subnet netip.Prefix

func (p *Platform) networkName() string { return "bluegreen-" + p.name }

// ensureNetwork returns the deployment's network, which it makes if need be.
//
// The engine lets a container choose its address only where the network's subnet
// was given by whoever made it. So a first network finds out which one is free,
// by the engine's own rules, and makes room for a second with just that.
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
			IPAM: &network.IPAM{Config: []network.IPAMConfig{{Subnet: netip.Prefix(free), IPRange: free.lower()}}},
		})
		if client.IsErrConnectionFailed(refused) || ctx.Err() != nil {
			return subnet{}, refused
		}
	}
	return subnet{}, fmt.Errorf("making network %s: %w", p.networkName(), refused)
}

// freeSubnet is one that the engine would give to a new network now.
func (p *Platform) freeSubnet(ctx context.Context) (subnet, error) {
	name := p.networkName() + "-probe"
	// One of a process that died is in the way.
	if err := p.removeNetwork(ctx, name); err != nil {
		return subnet{}, err
	}
	made, err := p.engine.NetworkCreate(ctx, name, client.NetworkCreateOptions{Driver: "bridge", Labels: p.labels()})
	if err != nil {
		return subnet{}, fmt.Errorf("making network %s: %w", name, err)
	}
	found, err := p.engine.NetworkInspect(ctx, made.ID, client.NetworkInspectOptions{})
	if err := errors.Join(err, p.removeNetwork(context.WithoutCancel(ctx), made.ID)); err != nil {
		return subnet{}, err
	}
	return p.subnetOf(found.Network)
}

func (p *Platform) subnetOf(n network.Inspect) (subnet, error) {
	if !p.owns(n.Labels) {
		return subnet{}, &ForeignError{"network", n.Name}
	}
	for _, c := range n.IPAM.Config {
		if c.Subnet.Addr().Is4() {
			return subnet(c.Subnet.Masked()), nil
		}
	}
	return subnet{}, fmt.Errorf("network %s has no IPv4 subnet", n.Name)
}

// removeNetworks removes the deployment's network, and one that was to find a
// subnet for it.
func (p *Platform) removeNetworks(ctx context.Context) error {
	list, err := p.engine.NetworkList(ctx, client.NetworkListOptions{Filters: p.ofDeployment()})
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

// removeNetwork removes a network if it is ours. That there is none is no error.
func (p *Platform) removeNetwork(ctx context.Context, name string) error {
	found, err := p.engine.NetworkInspect(ctx, name, client.NetworkInspectOptions{})
	if err == nil && p.owns(found.Network.Labels) {
		_, err = p.engine.NetworkRemove(ctx, found.Network.ID, client.NetworkRemoveOptions{})
	}
	if errdefs.IsNotFound(err) {
		return nil
	}
	return err
}

// lower is the half that the engine gives out.
func (s subnet) lower() netip.Prefix {
	whole := netip.Prefix(s)
	return netip.PrefixFrom(whole.Addr(), whole.Bits()+1)
}

// address is that of a replica, counted from 1. Blue has the third quarter of
// the subnet, green the fourth, but for the network's broadcast address.
func (s subnet) address(env bluegreen.Environment, number int) (netip.Addr, error) {
	whole := netip.Prefix(s)
	quarter := 1 << max(32-whole.Bits()-2, 0)
	room := quarter - 2
	if number > room {
		return netip.Addr{}, fmt.Errorf("the subnet %s has room for %d replicas, not for %d; give the engine larger default-address-pools", whole, max(room, 0), number)
	}
	offset := 2 * quarter
	if env == bluegreen.Green {
		offset = 3 * quarter
	}
	bytes := whole.Addr().As4()
	binary.BigEndian.PutUint32(bytes[:], binary.BigEndian.Uint32(bytes[:])+uint32(offset+number))
	return netip.AddrFrom4(bytes), nil
}
