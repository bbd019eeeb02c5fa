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

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Platform runs one deployment on one Docker host.
type Platform struct {
	name     string
	agent    Agent
	frontend Frontend
	upkeep   *Upkeep
	engine   *engine
	images   images
	manager  *agentManager
	client   *agentclient.Client
	// leaveHost ends the use of engine and client.
	leaveHost func()

	mu   sync.Mutex
	lock *agentclient.Lock
	// endUse is called when the lock ends.
	endUse func()
}

var (
	_ bluegreen.Platform  = (*Platform)(nil)
	_ bluegreen.Readiness = (*Platform)(nil)
	_ bluegreen.KeyKeeper = (*Platform)(nil)
)

// removeAgentTimeout limits how long Unlock takes to remove an agent that no deployment
// needs any more.
const removeAgentTimeout = 30 * time.Second

// New returns the platform of one deployment. It does not connect.
func New(opts Options) (*Platform, error) {
	opts.Pull = cmp.Or(opts.Pull, PullChanged)
	host := opts.Host
	if host == nil {
		host = NewHost(opts.Connection, opts.Agent.Name)
	}
	opts.Agent.Name = host.agentName
	if err := opts.validate(); err != nil {
		return nil, err
	}
	engine, client, err := host.addUser()
	if err != nil {
		return nil, err
	}
	images := images{engine, opts.Pull, host.connection.Registries, opts.Warn}
	manager := &agentManager{
		Agent: opts.Agent, engine: engine, client: client, images: images,
		deployment: opts.Name, upkeep: opts.Upkeep, hostSocket: engine.socketPath(), program: os.Executable,
		imageMutex: host.imageMutex, replaceMutex: host.replaceMutex, holders: host.holders,
	}
	return &Platform{
		name: opts.Name, agent: opts.Agent, frontend: opts.Frontend, upkeep: opts.Upkeep,
		engine: engine, images: images, manager: manager, client: client, leaveHost: sync.OnceFunc(host.removeUser),
	}, nil
}

// Close closes the connections. It ends a lock that is still held, as the end of the
// process would.
func (p *Platform) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lock != nil {
		p.lock.Abandon()
		p.endUse()
	}
	p.leaveHost()
}

// Load implements bluegreen.Store.
func (p *Platform) Load(ctx context.Context) (l bluegreen.Ledger, err error) {
	defer p.engine.explain(&err)
	status, _, err := p.readStatus(ctx)
	return status.Ledger, err
}

// Observe implements bluegreen.Platform. Without an agent nothing receives traffic, and
// so no replica counts as running.
func (p *Platform) Observe(ctx context.Context) (status bluegreen.Status, err error) {
	defer p.engine.explain(&err)
	status, serves, err := p.readStatus(ctx)
	if err == nil && !serves && status.Ledger.IsServing() {
		status.Outage = &bluegreen.Outage{
			Cause: fmt.Sprintf("the agent, container %s, does not run", p.manager.Name),
			Next:  "The next apply starts the agent again.",
		}
	}
	if err != nil || !serves {
		return status, err
	}
	routed := status.Running
	err = p.countRunning(ctx, &status)
	if l := status.Ledger; routed != nil && l.IsServing() && routed[l.Live] == 0 {
		// The agent sends no traffic to live, even if something runs there.
		status.Running[l.Live], status.Unready[l.Live] = 0, 0
	}
	return status, err
}

// readStatus returns the deployment's status, and whether an agent serves.
func (p *Platform) readStatus(ctx context.Context) (status bluegreen.Status, serves bool, err error) {
	return readDeployment(ctx, p, p.client.Deployment, (*agentclient.Offline).Deployment)
}

// KeptSettings returns the settings that the deployment keeps.
func (p *Platform) KeptSettings(ctx context.Context) (kept KeptSettings, err error) {
	defer p.engine.explain(&err)
	kept, _, err = readDeployment(ctx, p, p.client.KeptSettings, (*agentclient.Offline).KeptSettings)
	if errors.Is(err, agentclient.ErrUnknownRequest) {
		return readVolume(ctx, p.manager, p.name, (*agentclient.Offline).KeptSettings)
	}
	return kept, err
}

// KeepsKey implements bluegreen.KeyKeeper.
func (p *Platform) KeepsKey(ctx context.Context) (keeps bool, err error) {
	defer p.engine.explain(&err)
	return p.client.KeepsKey(ctx)
}

// History implements bluegreen.Store.
func (p *Platform) History(ctx context.Context) (records []bluegreen.Record, err error) {
	defer p.engine.explain(&err)
	records, _, err = readDeployment(ctx, p, p.client.History, (*agentclient.Offline).History)
	return records, err
}

// Lock implements bluegreen.Store. It starts the agent if none runs.
func (p *Platform) Lock(ctx context.Context, holder string) (unlock func(), err error) {
	defer p.engine.explain(&err)
	endUse, err := p.manager.beginUse(ctx)
	if err != nil {
		return nil, err
	}
	var lock *agentclient.Lock
	err = p.manager.withAgent(ctx, func() (err error) {
		lock, err = p.client.Lock(ctx, p.name, holder)
		return err
	})
	if err != nil {
		endUse()
		return nil, err
	}
	lock.WarnOfDamage(p.images.warn)
	p.mu.Lock()
	p.lock, p.endUse = lock, endUse
	p.mu.Unlock()
	return func() {
		p.unlock(lock)
		endUse()
	}, nil
}

// unlock releases the lock. If no deployment is left on the host, it removes the agent.
func (p *Platform) unlock(lock *agentclient.Lock) {
	ctx, cancel := context.WithTimeout(context.Background(), removeAgentTimeout)
	defer cancel()
	if ends, err := lock.EndAgentIfUnused(ctx); err == nil && ends {
		// What cannot be removed does no harm. The next removal of an agent removes it.
		_ = p.manager.removeAgent(ctx)
		lock.Abandon()
		return
	}
	lock.Unlock()
}

// Commit implements bluegreen.Store.
func (p *Platform) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) (err error) {
	defer p.engine.explain(&err)
	lock, err := p.currentLock()
	if err != nil {
		return err
	}
	err = lock.Commit(ctx, next, closed, p.frontend, p.upkeep.In(next))
	var taken *AddressError
	if errors.As(err, &taken) && taken.Deployment == "" {
		return p.manager.addPortOwner(ctx, taken)
	}
	return err
}

// Erase implements bluegreen.Store.
func (p *Platform) Erase(ctx context.Context) (err error) {
	defer p.engine.explain(&err)
	lock, err := p.currentLock()
	if err != nil {
		return err
	}
	if err := p.removeNetworks(ctx); err != nil {
		return err
	}
	return lock.Erase(ctx)
}

// currentLock returns the lock that was taken last. Only the agent knows whether it is
// still held.
func (p *Platform) currentLock() (*agentclient.Lock, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lock == nil {
		return nil, fmt.Errorf("%s: %w", p.name, agentclient.ErrLockLost)
	}
	return p.lock, nil
}

// AwaitTraffic implements bluegreen.Traffic.
func (p *Platform) AwaitTraffic(ctx context.Context, env bluegreen.Environment) (err error) {
	defer p.engine.explain(&err)
	return p.client.AwaitTraffic(ctx, p.name, env)
}

// CanReceiveTraffic implements bluegreen.Traffic. A container that was restarted receives
// traffic again. A container that was created again does not.
func (p *Platform) CanReceiveTraffic(passed []bluegreen.InstanceRef, instance bluegreen.InstanceRef) bool {
	ref := bluegreen.InstanceRef{ID: instance.ID, Incarnation: containerOf(instance)}
	return agentclient.CanReceiveTraffic(passed, ref)
}

// Drain implements bluegreen.Traffic. Without an agent nothing receives traffic.
func (p *Platform) Drain(ctx context.Context, env bluegreen.Environment) (err error) {
	defer p.engine.explain(&err)
	err = p.client.Drain(ctx, p.name, env)
	if errors.Is(err, agentclient.ErrNotRunning) {
		return nil
	}
	return err
}
