// SPDX-License-Identifier: MPL-2.0

// Package local runs deployments as processes on this machine. It is a thin
// client of the agent, which keeps the ledger, supervises the processes, and
// carries their traffic; see internal/agent.
//
// Reading never starts an agent: where none runs, the ledger is read as it is
// and nothing runs. Taking the lock starts one, and so everything that changes
// something finds it running.
package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Options says which deployment, and how clients reach it.
type Options struct {
	// StateDir is the agent's directory; "" is the user's default.
	StateDir string
	// Name is the deployment's name, a DNS label.
	Name string
	// Frontend goes to the agent with every commit.
	Frontend Frontend
	// AgentCommand starts an agent that is given "-state-dir" and its path. The
	// default is this program with the argument "agent".
	AgentCommand []string
}

// What the agent says that callers of this package tell apart.
type (
	// Frontend is where and how clients reach the deployment.
	Frontend = agent.Frontend
	// AddressError is an address that the deployment cannot listen on.
	AddressError = agent.AddressError
	// ImageError is an image that cannot be deployed.
	ImageError = agent.ImageError
	// VersionError is an agent of another version than this program.
	VersionError = agent.VersionError
	// UnreadableError is a file that is torn, foreign, or from a newer version.
	UnreadableError = agent.UnreadableError
)

// ErrLockLost: the lock was lost, and with it the right to change anything.
var ErrLockLost = agent.ErrLockLost

// Platform is one deployment in one state directory.
type Platform struct {
	name    string
	front   Frontend
	command []string
	client  *agent.Client
	offline *agent.Offline

	mu   sync.Mutex
	lock *agent.Lock
	// addresses caches where a run of an instance listens, which does not change.
	addresses map[bluegreen.InstanceRef]string
}

var _ bluegreen.Platform = (*Platform)(nil)

// New returns the platform of one deployment. It touches nothing.
func New(opts Options) (*Platform, error) {
	if err := agent.Supported(); err != nil {
		return nil, err
	}
	if err := agent.ValidateName(opts.Name); err != nil {
		return nil, err
	}
	dir, err := StateDir(opts.StateDir)
	if err != nil {
		return nil, err
	}
	client, err := agent.NewClient(dir)
	if err != nil {
		return nil, err
	}
	offline, err := agent.NewOffline(dir)
	if err != nil {
		return nil, err
	}
	command := opts.AgentCommand
	if len(command) == 0 {
		self, err := os.Executable()
		if err != nil {
			return nil, fmt.Errorf("finding the agent: %w", err)
		}
		command = []string{self, "agent"}
	}
	return &Platform{
		name: opts.Name, front: opts.Frontend, command: command, client: client, offline: offline,
		addresses: map[bluegreen.InstanceRef]string{},
	}, nil
}

// Close hangs up: a lock that is still held ends, as it does with the process.
func (p *Platform) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lock != nil {
		p.lock.Abandon()
	}
}

// StateDir returns configured, or the user's default state directory where that is "".
func StateDir(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	return agent.DefaultStateDir()
}

// CheckImage returns an *ImageError unless the image at path can be deployed
// with command, as far as a plan can tell.
func CheckImage(path string, command []string) error { return agent.CheckImage(path, command) }

// CheckListen returns an *AddressError unless the deployment called name can
// listen on listen, as far as a plan can tell.
func CheckListen(stateDir, name, listen string) error {
	dir, err := StateDir(stateDir)
	if err != nil {
		return err
	}
	return agent.CheckListen(dir, name, listen)
}

// Load implements bluegreen.Store.
func (p *Platform) Load(ctx context.Context) (bluegreen.Ledger, error) {
	status, err := p.Observe(ctx)
	return status.Ledger, err
}

// Observe implements bluegreen.Platform.
func (p *Platform) Observe(ctx context.Context) (bluegreen.Status, error) {
	status, err := p.client.Deployment(ctx, p.name)
	if errors.Is(err, agent.ErrNotRunning) {
		return p.offline.Deployment(p.name)
	}
	return status, err
}

// History implements bluegreen.Store.
func (p *Platform) History(ctx context.Context) ([]bluegreen.Record, error) {
	records, err := p.client.History(ctx, p.name)
	if errors.Is(err, agent.ErrNotRunning) {
		return p.offline.History(p.name)
	}
	return records, err
}

// Lock implements bluegreen.Store. It starts the agent if none runs.
func (p *Platform) Lock(ctx context.Context, holder string) (unlock func(), err error) {
	held, err := p.client.LaunchAndLock(ctx, p.command, p.name, holder)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	p.lock = held
	p.mu.Unlock()
	return held.Unlock, nil
}

// Commit implements bluegreen.Store.
func (p *Platform) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	held, err := p.held()
	if err != nil {
		return err
	}
	return held.Commit(ctx, next, closed, p.front)
}

// Erase implements bluegreen.Store.
func (p *Platform) Erase(ctx context.Context) error {
	held, err := p.held()
	if err != nil {
		return err
	}
	return held.Erase(ctx)
}

// Provision implements bluegreen.Workloads.
func (p *Platform) Provision(ctx context.Context, env bluegreen.Environment, release bluegreen.Release) (string, error) {
	held, err := p.held()
	if err != nil {
		return "", err
	}
	// The fingerprint is that of what the user wrote, and the path that of here.
	release.Fingerprint = cmp.Or(release.Fingerprint, release.Seal().Fingerprint)
	if release.Image, err = filepath.Abs(release.Image); err != nil {
		return "", &ImageError{Path: release.Image, Err: err}
	}
	return held.Provision(ctx, env, release)
}

// Scale implements bluegreen.Workloads.
func (p *Platform) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	held, err := p.held()
	if err != nil {
		return err
	}
	return held.Scale(ctx, env, replicas)
}

// Remove implements bluegreen.Workloads.
func (p *Platform) Remove(ctx context.Context, env bluegreen.Environment) error {
	held, err := p.held()
	if err != nil {
		return err
	}
	return held.Remove(ctx, env)
}

// held returns the lock that was taken last. Whether it still holds, the agent
// knows.
func (p *Platform) held() (*agent.Lock, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lock == nil {
		return nil, fmt.Errorf("%s: %w", p.name, ErrLockLost)
	}
	return p.lock, nil
}

// AwaitTraffic implements bluegreen.Traffic.
func (p *Platform) AwaitTraffic(ctx context.Context, env bluegreen.Environment) error {
	return p.client.AwaitTraffic(ctx, p.name, env)
}

// CanReceiveTraffic implements bluegreen.Traffic: a process that was started again comes back
// by itself, being the same release.
func (p *Platform) CanReceiveTraffic(passed []bluegreen.InstanceRef, instance bluegreen.InstanceRef) bool {
	return agent.CanReceiveTraffic(passed, bluegreen.InstanceRef{ID: instance.ID})
}

// Drain implements bluegreen.Traffic. Without an agent nothing has traffic.
func (p *Platform) Drain(ctx context.Context, env bluegreen.Environment) error {
	err := p.client.Drain(ctx, p.name, env)
	if errors.Is(err, agent.ErrNotRunning) {
		return nil
	}
	return err
}
