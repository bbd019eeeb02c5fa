// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Platform is one deployment on one Docker host.
type Platform struct {
	name   string
	agent  Agent
	front  agent.Frontend
	engine *engine
	images images
	host   *host
	client *agent.Client
	// leave ends the use of engine and client.
	leave func()

	mu   sync.Mutex
	lock *agent.Lock
}

var (
	_ bluegreen.Platform  = (*Platform)(nil)
	_ bluegreen.Readiness = (*Platform)(nil)
)

// dismantleTimeout bounds how long Unlock takes to remove an agent that nothing
// needs any more.
const dismantleTimeout = 30 * time.Second

// New returns the platform of one deployment. It connects to nothing.
func New(opts Options) (*Platform, error) {
	opts.Pull = cmp.Or(opts.Pull, PullMissing)
	session := opts.Session
	if session == nil {
		session = NewSession(opts.Connection, opts.Agent.Name)
	}
	opts.Agent.Name = session.agentName
	if err := opts.validate(); err != nil {
		return nil, err
	}
	engine, client, err := session.join()
	if err != nil {
		return nil, err
	}
	pulled := images{engine, opts.Pull, session.connection.Registries}
	h := &host{opts.Agent, engine, pulled, os.Executable, session.imaging, session.renewing}
	return &Platform{
		name: opts.Name, agent: opts.Agent, front: opts.Frontend,
		engine: engine, images: pulled, host: h, client: client, leave: sync.OnceFunc(session.leave),
	}, nil
}

// Close hangs up: a lock that is still held ends, as it does with the process.
func (p *Platform) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lock != nil {
		p.lock.Abandon()
	}
	p.leave()
}

// Load implements bluegreen.Store.
func (p *Platform) Load(ctx context.Context) (l bluegreen.Ledger, err error) {
	defer p.engine.explain(&err)
	status, _, err := p.deployment(ctx)
	return status.Ledger, err
}

// Observe implements bluegreen.Platform. Without an agent nothing has traffic,
// and so nothing counts as running.
func (p *Platform) Observe(ctx context.Context) (status bluegreen.Status, err error) {
	defer p.engine.explain(&err)
	status, serves, err := p.deployment(ctx)
	if err != nil || !serves {
		return status, err
	}
	led := status.Running
	err = p.count(ctx, &status)
	if l := status.Ledger; led != nil && l.IsServing() && led[l.Live] == 0 {
		// The agent leads no traffic there, whatever runs.
		status.Running[l.Live], status.Unready[l.Live] = 0, 0
	}
	return status, err
}

// deployment tells also whether an agent serves.
func (p *Platform) deployment(ctx context.Context) (status bluegreen.Status, serves bool, err error) {
	return read(ctx, p, p.client.Deployment, (*agent.Offline).Deployment)
}

// History implements bluegreen.Store.
func (p *Platform) History(ctx context.Context) (records []bluegreen.Record, err error) {
	defer p.engine.explain(&err)
	records, _, err = read(ctx, p, p.client.History, (*agent.Offline).History)
	return records, err
}

// Lock implements bluegreen.Store. It starts the agent if none runs.
func (p *Platform) Lock(ctx context.Context, holder string) (unlock func(), err error) {
	defer p.engine.explain(&err)
	if err := p.host.renew(ctx); err != nil {
		return nil, err
	}
	var held *agent.Lock
	err = p.host.launching(ctx, func() (err error) {
		held, err = p.client.Lock(ctx, p.name, holder)
		return err
	})
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.lock = held
	p.mu.Unlock()
	return func() { p.unlock(held) }, nil
}

// unlock gives the lock back. The last one to leave a host takes the agent along.
func (p *Platform) unlock(held *agent.Lock) {
	ctx, cancel := context.WithTimeout(context.Background(), dismantleTimeout)
	defer cancel()
	if idle, err := held.Retire(ctx); err == nil && idle {
		// What is left of it is idle, and goes the next time.
		_ = p.host.dismantle(ctx)
		held.Abandon()
		return
	}
	held.Unlock()
}

// Commit implements bluegreen.Store.
func (p *Platform) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) (err error) {
	defer p.engine.explain(&err)
	held, err := p.held()
	if err != nil {
		return err
	}
	err = held.Commit(ctx, next, closed, p.front)
	var taken *agent.AddressError
	if errors.As(err, &taken) && taken.Deployment == "" {
		return p.host.publisher(ctx, taken)
	}
	return err
}

// Erase implements bluegreen.Store.
func (p *Platform) Erase(ctx context.Context) (err error) {
	defer p.engine.explain(&err)
	held, err := p.held()
	if err != nil {
		return err
	}
	if err := p.removeNetworks(ctx); err != nil {
		return err
	}
	return held.Erase(ctx)
}

// held returns the lock that was taken last. Whether it still holds, the agent
// knows.
func (p *Platform) held() (*agent.Lock, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lock == nil {
		return nil, fmt.Errorf("%s: %w", p.name, agent.ErrLockLost)
	}
	return p.lock, nil
}

// AwaitTraffic implements bluegreen.Traffic.
func (p *Platform) AwaitTraffic(ctx context.Context, env bluegreen.Environment) (err error) {
	defer p.engine.explain(&err)
	return p.client.AwaitTraffic(ctx, p.name, env)
}

// CanReceiveTraffic implements bluegreen.Traffic: a container that was started again comes
// back by itself, and one that was made anew does not.
func (p *Platform) CanReceiveTraffic(passed []bluegreen.InstanceRef, instance bluegreen.InstanceRef) bool {
	return agent.CanReceiveTraffic(passed, bluegreen.InstanceRef{ID: instance.ID, Incarnation: containerOf(instance)})
}

// Drain implements bluegreen.Traffic. Without an agent nothing has traffic.
func (p *Platform) Drain(ctx context.Context, env bluegreen.Environment) (err error) {
	defer p.engine.explain(&err)
	err = p.client.Drain(ctx, p.name, env)
	if errors.Is(err, agent.ErrNotRunning) {
		return nil
	}
	return err
}
