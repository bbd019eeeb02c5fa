// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Deployer carries out the operations on one deployment. Each operation takes the
// deployment's lock, so that two of them never overlap. While another process holds
// the lock, an operation fails with EnvironmentBusy at once.
type Deployer struct {
	// Deployment is the name of the deployment.
	Deployment string
	Platform   Platform
	Checker    Checker
	Config     Config
	// Actor is who runs the operations: user@host and pid.
	Actor string
	// Now is the clock of the records.
	Now func() time.Time
	// Progress, when not nil, is called with one line at the start of each phase
	// of an operation.
	Progress func(message string)
	// Mask, when not nil, hides secrets in the texts of others that the ledger
	// keeps. An example is the answer to a health check that names a connection
	// string.
	Mask func(text string) string

	// key is the key of the fingerprints that UseKey or the last commit brought, nil for none.
	key atomic.Pointer[FingerprintKey]
}

// NewDeployer returns a Deployer with the default configuration and the real clock.
func NewDeployer(deployment string, platform Platform, checker Checker, actor string) *Deployer {
	return &Deployer{
		Deployment: deployment,
		Platform:   platform,
		Checker:    checker,
		Config:     DefaultConfig(),
		Actor:      actor,
		Now:        time.Now,
	}
}

// UseKey makes key, "" for none, the one of the deployment's fingerprints if the platform
// does not have it.
func (d *Deployer) UseKey(key FingerprintKey) {
	if key != "" {
		d.key.Store(&key)
	}
}

// withKey returns the ledger, as the platform has loaded it, with the key of its fingerprints.
func (d *Deployer) withKey(l Ledger) Ledger {
	if key := d.key.Load(); l.Key == "" && key != nil {
		l.Key = *key
	}
	return l
}

// Deploy brings release to staging and returns the environment that it runs in.
func (d *Deployer) Deploy(ctx context.Context, release Release) (Environment, error) {
	var env Environment
	err := d.withRecovery(ctx, "deploy", func(e *executor) error {
		env = e.ledger.Staging()
		return e.deploy(ctx, release)
	})
	return env, err
}

// HealthCheck checks the release in staging and records the result. A release
// that fails is given up, and its instances are removed.
func (d *Deployer) HealthCheck(ctx context.Context) (HealthResult, error) {
	var result HealthResult
	err := d.withRecovery(ctx, "health check", func(e *executor) (err error) {
		result, err = e.check(ctx)
		return e.giveUpOnError(ctx, err)
	})
	return result, err
}

// Switch makes staging live. Its release must have passed the health check, and
// enough of the instances that passed must still run.
func (d *Deployer) Switch(ctx context.Context) error {
	return d.withRecovery(ctx, "switch", func(e *executor) error {
		if err := e.switchTraffic(ctx); err != nil {
			return err
		}
		return e.commit(ctx, e.ledger.endWatch().markCreated())
	})
}

// Rollback makes the release before the live one live again, because an operator asks for
// it. The history keeps reason.
func (d *Deployer) Rollback(ctx context.Context, reason string) error {
	return d.withRecovery(ctx, "rollback", func(e *executor) error { return e.rollBack(ctx, reason, FromOperator) })
}

// DeployAndSwitch brings release live: deploy, check, switch, watch.
func (d *Deployer) DeployAndSwitch(ctx context.Context, release Release) error {
	return d.withRecovery(ctx, "deploy", func(e *executor) error { return e.deployAndSwitch(ctx, release) })
}

// CleanupStaging drains and removes what runs in the environment without traffic.
func (d *Deployer) CleanupStaging(ctx context.Context) error {
	return d.withRecovery(ctx, "cleanup", func(e *executor) error { return e.removeStandby(ctx) })
}

// Scale sets the size of the live environment and of its standby in place.
func (d *Deployer) Scale(ctx context.Context, replicas int) error {
	return d.withRecovery(ctx, "scale", func(e *executor) error {
		err := e.scale(ctx, replicas)
		return errors.Join(err, errors.Join(e.warnings...))
	})
}

// Destroy removes the deployment. It is not an error if there is none.
func (d *Deployer) Destroy(ctx context.Context) error {
	err := d.withLock(ctx, "destroy", func(e *executor) error { return e.destroy(ctx) })
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// Status returns the ledger and what runs now. It takes no lock and changes nothing.
func (d *Deployer) Status(ctx context.Context) (Status, error) {
	status, err := d.Platform.Observe(ctx)
	if err == nil {
		status.Ledger = d.withKey(status.Ledger)
		status.StandbyCauses = d.standbyCauses(ctx, status)
	}
	return status, err
}
