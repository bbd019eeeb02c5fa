// SPDX-License-Identifier: MPL-2.0

// Package bluegreen is the engine of blue/green deployments: which environment
// is live, what may follow, and how to get there without ever touching what serves.
//
// Its core is the Ledger and the pure functions that lead from one ledger to the
// next. The Deployer carries them out on a Platform: it loads the ledger, applies
// a transition, commits it, and then acts, so that a process killed at any point
// leaves a ledger from which the next run finishes or undoes.
package bluegreen

import (
	"context"
	"errors"
	"time"
)

// Config is how a Deployer judges and how long it waits.
type Config struct {
	// HealthCheckTimeout is how long one attempt of a health check lasts at most.
	HealthCheckTimeout time.Duration
	// HealthCheckRetries is how many more attempts follow a failed one. It is
	// also how many probes in a row must fail to end the watch after a switch.
	HealthCheckRetries int
	// MinHealthyPercent of the instances must be healthy, in 1..100, rounded up.
	MinHealthyPercent int
	// SwitchTimeout is how long the switch may take until the data plane follows.
	SwitchTimeout time.Duration
	// BakeTime is how long live is watched after a switch; 0 is not at all.
	BakeTime time.Duration
	// ProbeInterval is the time between two probes of that watch.
	ProbeInterval time.Duration
	// HistoryLimit is how many records are kept, at least 2.
	HistoryLimit int
}

// DefaultConfig returns the defaults: a health check of 30 s with 3 retries for
// all instances, 60 s for the switch, no watch, and 10 records of history.
func DefaultConfig() Config {
	return Config{
		HealthCheckTimeout: 30 * time.Second,
		HealthCheckRetries: 3,
		MinHealthyPercent:  100,
		SwitchTimeout:      60 * time.Second,
		ProbeInterval:      time.Second,
		HistoryLimit:       10,
	}
}

// cleanupTimeout bounds what a failing operation does to clean up after itself,
// which goes on when its own context has ended.
const cleanupTimeout = time.Minute

// Deployer carries out the operations on one deployment. Each operation takes the
// deployment's lock, so that two of them never overlap; while somebody else
// holds it they fail with EnvironmentBusy at once.
type Deployer struct {
	// Deployment is the name of the deployment.
	Deployment string
	Platform   Platform
	Checker    Checker
	Config     Config
	// Actor is who operates: user@host and pid.
	Actor string
	// Now is the clock of the records.
	Now func() time.Time
	// Progress is told, when not nil, what the operation does now, a line a phase.
	Progress func(message string)
	// Mask, when not nil, hides secrets in what the ledger keeps of texts that
	// others wrote: a release may say in its answer what it cannot connect to.
	Mask func(text string) string
}

// NewDeployer returns a Deployer with the default configuration and the real clock.
func NewDeployer(deployment string, platform Platform, checker Checker, actor string) *Deployer {
	return &Deployer{Deployment: deployment, Platform: platform, Checker: checker, Config: DefaultConfig(), Actor: actor, Now: time.Now}
}

// Deploy brings release to staging and returns the environment that it runs in.
func (d *Deployer) Deploy(ctx context.Context, release Release) (Environment, error) {
	var env Environment
	err := d.locked(ctx, "deploy", func(s *session) error {
		env = s.ledger.Staging()
		return s.deploy(ctx, release)
	})
	return env, err
}

// HealthCheck checks the release in staging and notes the result with it. A
// release that fails is given up, and its instances are removed.
func (d *Deployer) HealthCheck(ctx context.Context) (HealthResult, error) {
	var result HealthResult
	err := d.locked(ctx, "health check", func(s *session) (err error) {
		result, err = s.check(ctx)
		return s.undoOnError(ctx, err)
	})
	return result, err
}

// Switch makes staging live. Its release must have passed the health check, and
// the instances that passed must still be the ones that run.
func (d *Deployer) Switch(ctx context.Context) error {
	return d.locked(ctx, "switch", func(s *session) error {
		if err := s.switchTraffic(ctx); err != nil {
			return err
		}
		return s.commit(ctx, s.ledger.watched().settled())
	})
}

// Rollback makes the release before the live one live again.
func (d *Deployer) Rollback(ctx context.Context, reason string) error {
	return d.locked(ctx, "rollback", func(s *session) error { return s.rollback(ctx, reason) })
}

// DeployAndSwitch brings release live: deploy, check, switch, watch.
func (d *Deployer) DeployAndSwitch(ctx context.Context, release Release) error {
	return d.locked(ctx, "deploy", func(s *session) error { return s.deployAndSwitch(ctx, release) })
}

// CleanupStaging removes what runs in the environment that has no traffic.
func (d *Deployer) CleanupStaging(ctx context.Context) error {
	return d.locked(ctx, "cleanup", func(s *session) error { return s.removeStandby(ctx) })
}

// Scale sets the size of the live environment and of its standby in place.
func (d *Deployer) Scale(ctx context.Context, replicas int) error {
	return d.locked(ctx, "scale", func(s *session) error {
		err := s.scale(ctx, replicas)
		return errors.Join(err, errors.Join(s.warnings...))
	})
}

// Destroy removes the deployment. A deployment that does not exist is no error.
func (d *Deployer) Destroy(ctx context.Context) error {
	err := d.opened(ctx, "destroy", func(s *session) error { return s.destroy(ctx) })
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Status returns the ledger and what really runs. It takes no lock and changes nothing.
func (d *Deployer) Status(ctx context.Context) (Status, error) { return d.Platform.Observe(ctx) }
