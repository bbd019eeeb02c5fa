// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
)

// switchTraffic makes staging live in one commit. If traffic does not reach it in
// time, a second commit reverts the switch.
func (e *executor) switchTraffic(ctx context.Context) error {
	env := e.ledger.Staging()
	if e.ledger.Slot(env).State == Ready && ctx.Err() != nil {
		return operationError("switch", env, ctx.Err())
	}
	next, err := e.ledger.switchTo(env, e.Now().UTC())
	if err != nil {
		return err
	}
	// From here on an interrupt does not end the switch: it succeeds or is reverted.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.Config.SwitchTimeout)
	defer cancel()
	if err := e.requirePassedInstances(ctx, env); err != nil {
		return operationError("switch", env, err)
	}
	e.progress("switching traffic to %s in %s", next.Slot(env).Release.Version, env)
	if err := e.commit(ctx, next); err != nil {
		return operationError("switch", env, err)
	}
	if err := e.Platform.AwaitTraffic(ctx, env); err != nil {
		return e.revertSwitch(ctx, err)
	}
	return nil
}

// revertSwitch puts traffic back to where it was before the switch, which failed
// because of cause.
func (e *executor) revertSwitch(ctx context.Context, cause error) error {
	return operationError("switch", e.ledger.Live, e.revertTraffic(ctx, e.ledger.revertSwitch, cause))
}

// requirePassedInstances returns an error unless enough of the instances that
// passed the health check still run.
func (e *executor) requirePassedInstances(ctx context.Context, env Environment) error {
	slot := e.ledger.Slot(env)
	instances, err := e.Platform.Instances(ctx, env)
	if err != nil {
		return err
	}
	left := 0
	var gone error
	for _, passed := range slot.Passed {
		if exit := exitOf(instances, Instance{ID: passed.ID, Incarnation: passed.Incarnation}); exit != nil {
			gone = fmt.Errorf("replica %s passed the health check and is gone: %w", passed.ID, exit)
		} else {
			left++
		}
	}
	size := slot.Release.expectedSize(instances)
	if slot.Release.Autoscaled {
		// Instances that were added after the check have not been checked.
		size = min(size, len(slot.Passed))
	}
	required := requiredReplicas(size, e.Config.MinHealthyPercent)
	switch {
	case left >= required:
		return nil
	case gone != nil:
		return gone
	default:
		return fmt.Errorf("%d of %d replicas have passed the health check, %d are needed", left, size, required)
	}
}
