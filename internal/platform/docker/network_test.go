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

func TestNetworkIsMadeOnceAndRemoved(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.open(t, l.name)
	first, err := p.ensureNetwork(t.Context())
	l.must(err)
	again, err := p.ensureNetwork(t.Context())
	l.must(err)
	if first != again {
		t.Errorf("the subnet was %s and is %s", netip.Prefix(first), netip.Prefix(again))
	}
	other := l.open(t, l.name+"-2")
	second, err := other.ensureNetwork(t.Context())
	l.must(err)
	if netip.Prefix(second).Overlaps(netip.Prefix(first)) {
		t.Errorf("%s and %s overlap", netip.Prefix(first), netip.Prefix(second))
	}
	for range 2 {
		l.must(p.removeNetworks(t.Context()))
		l.must(other.removeNetworks(t.Context()))
	}
}

func TestForeignNetworkIsLeftAlone(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.open(t, l.name)
	made, err := l.engine.NetworkCreate(t.Context(), p.networkName(), client.NetworkCreateOptions{Driver: "bridge"})
	l.must(err)
	t.Cleanup(func() {
		if _, err := l.engine.NetworkRemove(context.Background(), made.ID, client.NetworkRemoveOptions{}); err != nil {
			t.Error(err)
		}
	})
	if _, err := p.ensureNetwork(t.Context()); !isForeign(err, "network") {
		t.Errorf("got %v", err)
	}
	l.must(p.removeNetworks(t.Context()))
	if _, err := l.engine.NetworkInspect(t.Context(), made.ID, client.NetworkInspectOptions{}); err != nil {
		t.Errorf("it is gone: %v", err)
	}
}

func TestRemainsOfAProbeAreNoObstacle(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	p := l.open(t, l.name)
	_, err := l.engine.NetworkCreate(t.Context(), p.networkName()+"-probe", client.NetworkCreateOptions{Driver: "bridge", Labels: p.labels(), IPAM: &network.IPAM{}})
	l.must(err)
	_, err = p.ensureNetwork(t.Context())
	l.must(err)
	l.must(p.removeNetworks(t.Context()))
}
