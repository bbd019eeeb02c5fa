// SPDX-License-Identifier: MPL-2.0

package bluegreen

import "context"

// SizeForTraffic returns how many replicas env needs to take the traffic of live. It returns
// false if env has as many: only an autoscaler makes a release without traffic smaller, because
// that has no load.
func (l Ledger) SizeForTraffic(env Environment) (replicas int, needsMore bool) {
	release := l.Slot(env).Release
	if !l.IsServing() || env == l.Live || release == nil || !release.Autoscaled {
		return 0, false
	}
	size := l.Slot(l.Live).Release.Replicas
	return size, release.Replicas < size
}

// growForTraffic brings env, which is about to take the traffic of live, to the size of live if
// an autoscaler has made it smaller. It does not check the new instances.
func (e *executor) growForTraffic(ctx context.Context, env Environment) (hasGrown bool, err error) {
	size, needsMore := e.ledger.SizeForTraffic(env)
	if !needsMore {
		return false, nil
	}
	e.progress("starting replicas in %s: it has %d, and live has %d", env, e.ledger.Slot(env).Release.Replicas, size)
	if err := e.Platform.Scale(ctx, env, size); err != nil {
		return false, err
	}
	e.ledger = e.ledger.WithSize(env, size)
	return true, nil
}

// growStandby brings the standby to the size of live, and returns when it is healthy at that size.
func (e *executor) growStandby(ctx context.Context) error {
	target, ok := e.ledger.RollbackTarget()
	if !ok {
		// The rollback says why there is none.
		return nil
	}
	env := target.Environment
	hasGrown, err := e.growForTraffic(ctx, env)
	if err != nil || !hasGrown {
		return operationError("rollback", env, err)
	}
	result, err := e.checkHealth(ctx, env)
	if err != nil {
		return operationError("rollback", env, err)
	}
	e.ledger = e.ledger.withPassed(env, result.Instances)
	return nil
}
