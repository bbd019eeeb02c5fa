// SPDX-License-Identifier: MPL-2.0

package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Instances implements bluegreen.Workloads.
func (p *Platform) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	found, err := p.client.Instances(ctx, p.name, env)
	if p.restoreAgent(ctx, err) {
		found, err = p.client.Instances(ctx, p.name, env)
	}
	if err != nil {
		return nil, err
	}
	list := make([]bluegreen.Instance, 0, len(found))
	for _, instance := range found {
		list = append(list, instance.Instance)
	}
	return list, nil
}

// Dial implements bluegreen.Workloads. It connects to the given run of the instance, and
// to no other run. Any program of the machine can listen where the instance should, before the
// instance does. So the agent is asked before and after: what was connected to is a process of
// the instance if that has listened in between.
func (p *Platform) Dial(ctx context.Context, instance bluegreen.Instance) (net.Conn, error) {
	before, err := p.listener(ctx, instance)
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", before.Address)
	if err != nil || len(before.Listeners) == 0 {
		return conn, err
	}
	after, err := p.listener(ctx, instance)
	if err == nil && !before.ListensStill(after) {
		err = fmt.Errorf("what listens on %s has changed meanwhile", before.Address)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// listener returns this run of the instance with the address that it listens on.
func (p *Platform) listener(ctx context.Context, instance bluegreen.Instance) (client.Instance, error) {
	env, err := environmentOf(instance)
	if err != nil {
		return client.Instance{}, err
	}
	found, err := p.client.Listener(ctx, p.name, env, instance.ID)
	if p.restoreAgent(ctx, err) {
		found, err = p.client.Listener(ctx, p.name, env, instance.ID)
	}
	if errors.Is(err, client.ErrUnknownRequest) {
		found, err = p.listed(ctx, env, instance.ID)
	}
	switch {
	case client.IsUnavailable(err):
		// That says nothing about the instance.
		return client.Instance{}, fmt.Errorf("%w: %w", bluegreen.ErrCouldNotAsk, err)
	case err != nil:
		return client.Instance{}, err
	case !found.Running || found.Ref() != instance.Ref():
		return client.Instance{}, fmt.Errorf("%s has been restarted or has ended", instance.ID)
	case found.Address == "":
		return client.Instance{}, errors.New(found.NotListening)
	}
	return found, nil
}

// listed returns the instance as an agent of an earlier version lists it.
func (p *Platform) listed(ctx context.Context, env bluegreen.Environment, id string) (client.Instance, error) {
	list, err := p.client.Instances(ctx, p.name, env)
	i := slices.IndexFunc(list, func(found client.Instance) bool { return found.ID == id })
	if err != nil || i < 0 {
		return client.Instance{}, err
	}
	return list[i], nil
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
