// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
	"slices"
)

// repair starts what should run and does not, and waits until traffic reaches
// live. What should not run was removed by recoverInterrupted.
func (e *executor) repair(ctx context.Context, configured Release) error {
	e.progress("repairing: starting what should run")
	env := e.ledger.Staging()
	preview := e.ledger.Slot(env)
	isPreview := preview.State == Ready && e.ledger.HasRelease(env, configured)
	if e.ledger.IsServing() {
		if err := e.repairLive(ctx, configured); err != nil {
			return operationError("repair", e.ledger.Live, err)
		}
	} else if err := e.applyStagingSize(ctx); err != nil {
		return operationError("repair", env, err)
	}
	if isPreview && e.ledger.Slot(env).Release == nil {
		// Its workload was removed, and it is what is configured.
		configured.ImageDigest = preview.Release.ImageDigest
		return e.deployPreview(ctx, configured)
	}
	return nil
}

// repairLive brings live to its size and returns when traffic reaches it.
func (e *executor) repairLive(ctx context.Context, configured Release) error {
	if err := e.restartUnready(ctx); err != nil {
		return err
	}
	if err := e.applySizes(ctx, &configured); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, e.Config.SwitchTimeout)
	defer cancel()
	return e.Platform.AwaitTraffic(ctx, e.ledger.Live)
}

// restartUnready starts the instances of live again that run and are not ready, one after
// the other. Each must be healthy before the next is started again, so that the others
// keep serving. If one does not become healthy, the rest is left as it is: instances that
// fail their health check may still answer requests.
func (e *executor) restartUnready(ctx context.Context) error {
	platform, ok := e.Platform.(Restarter)
	if !ok {
		return nil
	}
	env := e.ledger.Live
	instances, err := e.Platform.Instances(ctx, env)
	if err != nil {
		return err
	}
	for _, instance := range instances {
		if !instance.Running || instance.Unready == "" {
			continue
		}
		e.progress("starting %s again: it is not ready: %s", instance.ID, instance.Unready)
		if err := platform.Restart(ctx, env, instance); err != nil {
			return fmt.Errorf("starting %s again: %w", instance.ID, err)
		}
		if err := e.awaitRestarted(ctx, env, instance.ID); err != nil {
			return err
		}
	}
	return nil
}

// awaitRestarted returns once the instance called id, which was started again, is healthy.
// It returns an error if that takes longer than an attempt of the health check may take.
func (e *executor) awaitRestarted(ctx context.Context, env Environment, id string) error {
	attempt, cancel := context.WithTimeout(ctx, e.Config.HealthCheckTimeout)
	defer cancel()
	instances, err := e.list(attempt, env)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(instances, func(i Instance) bool { return i.ID == id })
	if i < 0 {
		return fmt.Errorf("%s was started again and is gone", id)
	}
	f := newFinding(*e.ledger.Slot(env).Release, instances, e.Config.MinHealthyPercent)
	f.outcomes = []outcome{e.checkInstance(attempt, env, instances[i])}
	if f.outcomes[0].isHealthy() {
		return nil
	}
	unhealthy := f.unhealthyError()
	e.addLogs(ctx, unhealthy)
	return fmt.Errorf("%s was started again: %w", id, unhealthy)
}
