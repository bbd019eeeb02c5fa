// SPDX-License-Identifier: MPL-2.0

package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Options says which deployment, where its state is, and how clients reach it.
type Options struct {
	// StateDir is the agent's directory; "" is the user's default.
	StateDir string
	// Name is the deployment's name, a DNS label.
	Name string
	// Frontend is sent to the agent with every commit.
	Frontend Frontend
	// Upkeep is sent to the agent with every commit. If it is nil, the agent looks after
	// the replicas as it did before.
	Upkeep *Upkeep
	// Ports is the range that replicas get their ports from, such as "20000-29999"; "" is that of
	// the agent. The agent keeps it with the release that is deployed.
	Ports string
	// AgentCommand is the command that starts an agent. It is called with the further
	// arguments "-state-dir" and the directory. The default is this program with the
	// argument "agent".
	AgentCommand []string
	// Warn, if it is not nil, is called with a message about a problem that stops nothing.
	Warn func(message string)
}

// These types of the agent are part of this package's API.
type (
	// Frontend says where and how clients reach the deployment.
	Frontend = client.Frontend
	// KeptSettings are the settings that a deployment keeps from one apply to the next, without
	// those that may be secrets.
	KeptSettings = client.KeptSettings
	// KeptUpkeep is the Upkeep in KeptSettings.
	KeptUpkeep = client.KeptUpkeep
	// AccessLog is a place where requests are logged.
	AccessLog = client.AccessLog
	// Upkeep says how the agent looks after the replicas of one release.
	Upkeep = client.Upkeep
	// AddressError reports an address that the deployment cannot listen on.
	AddressError = client.AddressError
	// Image says which image is copied, and how.
	Image = client.Image
	// ImageError reports an image that cannot be deployed.
	ImageError = client.ImageError
	// VersionError reports an agent whose version is not this program's.
	VersionError = client.VersionError
	// Settings say how the replicas of a release run. They are its bluegreen.Settings.
	Settings = client.Settings
	// SettingError reports a setting that has no effect where the agent runs.
	SettingError = client.SettingError
	// UnreadableError reports a file that is incomplete, not the agent's, or written by a
	// newer version.
	UnreadableError = client.UnreadableError
)

// AccessLogFile is a file in the state directory.
const AccessLogFile = client.AccessLogFile

// ErrLockLost reports that the lock was lost. Nothing may be changed without it.
var ErrLockLost = client.ErrLockLost

// Platform runs one deployment in one state directory.
type Platform struct {
	name     string
	frontend Frontend
	upkeep   *Upkeep
	ports    string
	command  []string
	warn     func(message string)
	client   *client.Client
	offline  *client.Offline

	mu   sync.Mutex
	lock *client.Lock
	// isLocked is true from Lock to unlock, even if the agent ends meanwhile.
	isLocked bool
}

var (
	_ bluegreen.Platform  = (*Platform)(nil)
	_ bluegreen.Restarter = (*Platform)(nil)
	_ bluegreen.KeyKeeper = (*Platform)(nil)
)

// New returns the platform of one deployment. It starts and writes nothing.
func New(opts Options) (*Platform, error) {
	if err := client.CheckSupported(); err != nil {
		return nil, err
	}
	if err := client.ValidateName(opts.Name); err != nil {
		return nil, err
	}
	dir, err := StateDir(opts.StateDir)
	if err != nil {
		return nil, err
	}
	c, err := client.New(dir)
	if err != nil {
		return nil, err
	}
	offline, err := client.NewOffline(dir)
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
		name: opts.Name, frontend: opts.Frontend, upkeep: opts.Upkeep, ports: opts.Ports, command: command,
		warn: opts.Warn, client: c, offline: offline,
	}, nil
}

// Close ends a lock that is still held, as the end of the process would.
func (p *Platform) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.lock != nil {
		p.lock.Abandon()
	}
}

// StateDir returns configured, or the user's default state directory if configured is "".
func StateDir(configured string) (string, error) {
	if configured != "" {
		return configured, nil
	}
	return client.DefaultStateDir()
}

// KeptSettings returns the settings that the deployment keeps.
func (p *Platform) KeptSettings(ctx context.Context) (KeptSettings, error) {
	kept, err := p.client.KeptSettings(ctx, p.name)
	if errors.Is(err, client.ErrNotRunning) || errors.Is(err, client.ErrUnknownRequest) {
		return p.offline.KeptSettings(p.name)
	}
	return kept, err
}

// Load implements bluegreen.Store.
func (p *Platform) Load(ctx context.Context) (bluegreen.Ledger, error) {
	status, err := p.Observe(ctx)
	return status.Ledger, err
}

// Observe implements bluegreen.Platform.
func (p *Platform) Observe(ctx context.Context) (bluegreen.Status, error) {
	status, err := p.client.Deployment(ctx, p.name)
	if errors.Is(err, client.ErrNotRunning) {
		return p.observeOffline()
	}
	return status, err
}

// observeOffline returns what is stored of a deployment that no agent serves.
func (p *Platform) observeOffline() (bluegreen.Status, error) {
	status, err := p.offline.Deployment(p.name)
	if err == nil && status.Ledger.IsServing() {
		status.Outage = p.offline.Outage()
	}
	return status, err
}

// MissingStateDir returns the state directory if it does not exist, "" if it does.
func (p *Platform) MissingStateDir() string { return p.offline.MissingDir() }

// History implements bluegreen.Store.
func (p *Platform) History(ctx context.Context) ([]bluegreen.Record, error) {
	records, err := p.client.History(ctx, p.name)
	if errors.Is(err, client.ErrNotRunning) {
		return p.offline.History(p.name)
	}
	return records, err
}

// HasLostAgent reports whether err is that of an operation whose agent has ended. Its lock ended
// with the agent, so that it cannot go on.
func HasLostAgent(err error) bool {
	return client.IsUnavailable(err) || errors.Is(err, client.ErrLockLost)
}

// EnsureAgent starts the agent if none runs. It returns once an agent serves.
func (p *Platform) EnsureAgent(ctx context.Context) error {
	return p.client.EnsureAgent(ctx, p.command)
}

// Lock implements bluegreen.Store. It starts the agent if none runs, and replaces one that is older
// than this program.
func (p *Platform) Lock(ctx context.Context, holder string) (unlock func(), err error) {
	if err := p.client.Replace(ctx, p.command); err != nil && p.warn != nil {
		p.warn(err.Error())
	}
	lock, err := p.client.LaunchAndLock(ctx, p.command, p.name, holder)
	if err != nil {
		return nil, err
	}
	lock.WarnOfDamage(p.warn)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.lock, p.isLocked = lock, true
	return func() {
		p.mu.Lock()
		p.isLocked = false
		p.mu.Unlock()
		lock.Unlock()
	}, nil
}

// restoreAgent starts the agent again if it ended, as err says, during an operation. The
// operation may look on for a while, and clients must not wait for that. It reports whether
// the agent can be asked again.
func (p *Platform) restoreAgent(ctx context.Context, err error) bool {
	if !client.IsUnavailable(err) {
		return false
	}
	p.mu.Lock()
	isLocked := p.isLocked
	p.mu.Unlock()
	return isLocked && p.EnsureAgent(ctx) == nil
}

// Commit implements bluegreen.Store.
func (p *Platform) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	lock, err := p.currentLock()
	if err != nil {
		return err
	}
	return lock.Commit(ctx, next, closed, p.frontend, p.upkeep.In(next))
}

// Erase implements bluegreen.Store.
func (p *Platform) Erase(ctx context.Context) error {
	lock, err := p.currentLock()
	if err != nil {
		return err
	}
	return lock.Erase(ctx)
}

// Prepare implements bluegreen.Workloads. The agent copies the image.
func (p *Platform) Prepare(ctx context.Context, release bluegreen.Release) (string, error) {
	lock, err := p.currentLock()
	if err != nil {
		return "", err
	}
	if release.Image, err = absolute(release.Image); err != nil {
		return "", err
	}
	return lock.Prepare(ctx, release)
}

// absolute returns the absolute path of an image. The agent needs it, because the agent
// has another working directory.
func absolute(path string) (string, error) {
	found, err := filepath.Abs(path)
	if err != nil {
		return "", &ImageError{Path: path, Err: err}
	}
	return found, nil
}

// Provision implements bluegreen.Workloads.
func (p *Platform) Provision(
	ctx context.Context, env bluegreen.Environment, release bluegreen.Release,
) (string, error) {
	lock, err := p.currentLock()
	if err != nil {
		return "", err
	}
	// The fingerprint covers the path as the user wrote it.
	release.Fingerprint = cmp.Or(release.Fingerprint, release.Seal("").Fingerprint)
	if release.Image, err = absolute(release.Image); err != nil {
		return "", err
	}
	return lock.Provision(ctx, env, release, p.ports)
}

// Scale implements bluegreen.Workloads.
func (p *Platform) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	lock, err := p.currentLock()
	if err != nil {
		return err
	}
	return lock.Scale(ctx, env, replicas)
}

// Remove implements bluegreen.Workloads.
func (p *Platform) Remove(ctx context.Context, env bluegreen.Environment) error {
	lock, err := p.currentLock()
	if err != nil {
		return err
	}
	return lock.Remove(ctx, env)
}

// Restart implements bluegreen.Restarter.
func (p *Platform) Restart(ctx context.Context, env bluegreen.Environment, instance bluegreen.Instance) error {
	lock, err := p.currentLock()
	if err != nil {
		return err
	}
	return lock.Restart(ctx, env, instance.Ref())
}

// currentLock returns the lock that was taken last. Only the agent knows whether it is
// still held.
func (p *Platform) currentLock() (*client.Lock, error) {
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

// CanReceiveTraffic implements bluegreen.Traffic. A process that was restarted receives
// traffic again, because it runs the same release.
func (p *Platform) CanReceiveTraffic(passed []bluegreen.InstanceRef, instance bluegreen.InstanceRef) bool {
	return client.CanReceiveTraffic(passed, bluegreen.InstanceRef{ID: instance.ID})
}

// Drain implements bluegreen.Traffic. Without an agent nothing receives traffic.
func (p *Platform) Drain(ctx context.Context, env bluegreen.Environment) error {
	err := p.client.Drain(ctx, p.name, env)
	if errors.Is(err, client.ErrNotRunning) {
		return nil
	}
	return err
}
