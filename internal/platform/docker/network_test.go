// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"net/netip"
	"testing"

	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestReplicasHaveAddressesOfTheirOwn(t *testing.T) {
	for _, c := range []struct {
		subnet, env string
		number      int
		want        string
	}{
		{"172.18.0.0/16", "blue", 1, "172.18.128.1"},
		{"172.18.0.0/16", "green", 1, "172.18.192.1"},
		{"172.18.0.0/16", "green", 300, "172.18.193.44"},
		{"192.168.16.0/20", "blue", 2, "192.168.24.2"},
		{"10.0.0.0/24", "green", 62, "10.0.0.254"},
		{"10.0.0.0/24", "green", 63, ""},
		{"10.0.0.0/30", "blue", 1, ""},
	} {
		got, err := subnet(netip.MustParsePrefix(c.subnet)).address(bluegreen.Environment(c.env), c.number)
		if (err == nil) != (c.want != "") || (err == nil && got.String() != c.want) {
			t.Errorf("%s %s-%d has %s, %v; want %q", c.subnet, c.env, c.number, got, err, c.want)
		}
	}
}

func TestNetworkIsCreatedOnceAndRemoved(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.open(t, h.name)
	first, err := p.ensureNetwork(t.Context())
	h.must(err)
	again, err := p.ensureNetwork(t.Context())
	h.must(err)
	if first != again {
		t.Errorf("the subnet was %s and is %s", netip.Prefix(first), netip.Prefix(again))
	}
	other := h.open(t, h.name+"-2")
	second, err := other.ensureNetwork(t.Context())
	h.must(err)
	if netip.Prefix(second).Overlaps(netip.Prefix(first)) {
		t.Errorf("%s and %s overlap", netip.Prefix(first), netip.Prefix(second))
	}
	for range 2 {
		h.must(p.removeNetworks(t.Context()))
		h.must(other.removeNetworks(t.Context()))
	}
}

func TestUnmanagedNetworkIsNotChanged(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.open(t, h.name)
	made, err := h.engine.NetworkCreate(t.Context(), p.networkName(), client.NetworkCreateOptions{Driver: "bridge"})
	h.must(err)
	t.Cleanup(func() {
		if _, err := h.engine.NetworkRemove(context.Background(), made.ID, client.NetworkRemoveOptions{}); err != nil {
			t.Error(err)
		}
	})
	if _, err := p.ensureNetwork(t.Context()); !isNameConflict(err, "network") {
		t.Errorf("got %v", err)
	}
	h.must(p.removeNetworks(t.Context()))
	if _, err := h.engine.NetworkInspect(t.Context(), made.ID, client.NetworkInspectOptions{}); err != nil {
		t.Errorf("it is gone: %v", err)
	}
}

func TestTemporaryNetworkThatIsLeftIsRemoved(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.open(t, h.name)
	options := client.NetworkCreateOptions{Driver: "bridge", Labels: p.labels(), IPAM: &network.IPAM{}}
	_, err := h.engine.NetworkCreate(t.Context(), p.networkName()+"-probe", options)
	h.must(err)
	_, err = p.ensureNetwork(t.Context())
	h.must(err)
	h.must(p.removeNetworks(t.Context()))
}
