// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
)

// scale sets the size of live and standby. New replicas of live receive traffic
// once they are healthy. If they do not become healthy, the former size comes back.
func (e *executor) scale(ctx context.Context, replicas int) error {
	env := e.ledger.Live
	next, err := e.ledger.scale(replicas, false)
	if err != nil {
		return err
	}
	before := e.ledger
	e.progress("scaling from %d to %d replicas", before.Slot(env).Release.Replicas, replicas)
	if err := e.commit(ctx, next); err != nil {
		return operationError("scale", env, err)
	}
	if err := e.applySizes(ctx, nil); err != nil {
		return operationError("scale", env, e.scaleBack(ctx, before, err))
	}
	return nil
}

// scaleBack restores the sizes that live and standby had in before, after a scaling that
// failed because of cause.
func (e *executor) scaleBack(ctx context.Context, before Ledger, cause error) error {
	ctx, cancel := e.cleanupContext(ctx)
	defer cancel()
	e.progress("scaling back to %d replicas", before.Slot(before.Live).Release.Replicas)
	back := e.ledger
	for _, env := range e.ledger.scaledEnvironments() {
		former := before.Slot(env).Release
		back = back.resize(env, former.Replicas, former.Autoscaled)
	}
	err := e.commit(ctx, back)
	for _, env := range e.ledger.scaledEnvironments() {
		if err == nil {
			err = e.Platform.Scale(ctx, env, e.ledger.Slot(env).Release.Replicas)
		}
	}
	if err != nil {
		return errors.Join(cause, fmt.Errorf("scaling back: %w; the next run finishes it", err))
	}
	return cause
}

// leaveSizeToAutoscaler keeps live and standby at the size that they have, and
// leaves it to an autoscaler from now on.
func (e *executor) leaveSizeToAutoscaler(ctx context.Context) error {
	next, err := e.ledger.scale(0, true)
	if err != nil {
		return err
	}
	e.progress("leaving the number of replicas to the autoscaler")
	return operationError("scale", e.ledger.Live, e.commit(ctx, next))
}

// applySizes makes live and standby run at the size that the ledger says, and
// lets the replicas of live that are healthy receive traffic. If the workload of
// live was removed and configured is its release, live is provisioned again:
// configured has the environment variables, which the ledger has not. It may be nil.
func (e *executor) applySizes(ctx context.Context, configured *Release) error {
	live := e.ledger.Live
	slot := e.ledger.Slot(live)
	err := e.Platform.Scale(ctx, live, slot.Release.Replicas)
	if errors.Is(err, ErrNotProvisioned) && configured != nil && e.ledger.HasRelease(live, *configured) {
		again := *configured
		again.Replicas, again.Autoscaled = slot.Release.Replicas, slot.Release.Autoscaled
		again.ImageDigest = slot.Release.ImageDigest
		_, err = e.Platform.Provision(ctx, live, again)
	}
	if err != nil {
		return err
	}
	result, err := e.checkHealth(ctx, live)
	if err != nil {
		return err
	}
	if err := e.commit(ctx, e.ledger.withPassed(live, result.Instances)); err != nil {
		return err
	}
	return e.applyStagingSize(ctx)
}

// applyStagingSize makes staging run at the size that the ledger says, if it is a
// standby or a preview. It does not check the health: a standby has served before,
// maybe with another health check, and a preview is checked when it is promoted.
//
// A release whose workload was removed is given up. That a standby cannot be
// scaled is a warning, because live does not depend on it.
func (e *executor) applyStagingSize(ctx context.Context) error {
	env := e.ledger.Staging()
	slot := e.ledger.Slot(env)
	if !slot.isMeantToRun() {
		return nil
	}
	instances, err := e.scaleStaging(ctx, env, slot.Release.Replicas)
	if errors.Is(err, ErrNotProvisioned) {
		e.progress("giving up %s in %s: its workload was removed", slot.Release.Version, env)
		e.warnings = append(e.warnings, operationError("scale", env,
			fmt.Errorf("%s was given up there, because its workload was removed by hand", slot.Release.Version)))
		next, err := e.ledger.clearStaging()
		if err != nil {
			return err
		}
		return e.commit(ctx, next)
	}
	if err != nil && slot.State == Idle && ctx.Err() == nil {
		e.warnings = append(e.warnings, operationError("scale", env, err))
		return nil
	}
	if err != nil {
		return err
	}
	if slot.State == Ready {
		// A preview has its own check. What was started now has not passed it.
		return nil
	}
	var refs []InstanceRef
	for _, instance := range runningOf(instances) {
		refs = append(refs, instance.Ref())
	}
	return e.commit(ctx, e.ledger.withPassed(env, refs))
}

// scaleStaging makes env run this many replicas and returns what is there then.
func (e *executor) scaleStaging(ctx context.Context, env Environment, replicas int) ([]Instance, error) {
	if err := e.Platform.Scale(ctx, env, replicas); err != nil {
		return nil, err
	}
	return e.Platform.Instances(ctx, env)
}
