// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
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
// the other, so that the others keep serving.
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
	}
	return nil
}
