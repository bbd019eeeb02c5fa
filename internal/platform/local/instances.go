// SPDX-License-Identifier: MPL-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Instances implements bluegreen.Workloads.
func (p *Platform) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	found, err := p.client.Instances(ctx, p.name, env)
	if err != nil {
		return nil, err
	}
	list := make([]bluegreen.Instance, 0, len(found))
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, instance := range found {
		list = append(list, instance.Instance)
		if instance.Address != "" {
			p.addresses[instance.Ref()] = instance.Address
		}
	}
	return list, nil
}

// Dial implements bluegreen.Workloads. It connects to the given run of the instance, and
// to no other run.
func (p *Platform) Dial(ctx context.Context, instance bluegreen.Instance) (net.Conn, error) {
	address, err := p.address(ctx, instance)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, "tcp", address)
}

// address returns the address that this run of the instance listens on.
func (p *Platform) address(ctx context.Context, instance bluegreen.Instance) (string, error) {
	cached := func() string {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.addresses[instance.Ref()]
	}
	if address := cached(); address != "" {
		return address, nil
	}
	env, err := environmentOf(instance)
	if err != nil {
		return "", err
	}
	if _, err := p.Instances(ctx, env); err != nil {
		return "", err
	}
	if address := cached(); address != "" {
		return address, nil
	}
	return "", fmt.Errorf("%s has been restarted or has ended", instance.ID)
}

// Exec implements bluegreen.Workloads.
func (p *Platform) Exec(ctx context.Context, instance bluegreen.Instance, command []string) error {
	env, err := environmentOf(instance)
	if err != nil {
		return err
	}
	err = p.client.Exec(ctx, p.name, env, instance.ID, command)
	if client.IsUnavailable(err) {
		// The command says nothing about the instance.
		return fmt.Errorf("%w: %w", bluegreen.ErrCouldNotAsk, err)
	}
	return err
}

// KeepsKey implements bluegreen.KeyKeeper.
func (p *Platform) KeepsKey(ctx context.Context) (bool, error) { return p.client.KeepsKey(ctx) }

// Logs implements bluegreen.Workloads.
func (p *Platform) Logs(ctx context.Context, instance bluegreen.Instance, n int) ([]string, error) {
	env, err := environmentOf(instance)
	if err != nil {
		return nil, err
	}
	list, err := p.client.Logs(ctx, p.name, env, instance.ID, n)
	if errors.Is(err, client.ErrNotRunning) {
		return p.offline.Logs(p.name, env, instance.ID, n)
	}
	return list, err
}

// environmentOf returns the environment that an instance's ID, such as "green-1", begins
// with.
func environmentOf(instance bluegreen.Instance) (bluegreen.Environment, error) {
	name, _, _ := strings.Cut(instance.ID, "-")
	env, err := bluegreen.ParseEnvironment(name)
	if err != nil {
		return "", fmt.Errorf("instance %q: %w", instance.ID, err)
	}
	return env, nil
}
