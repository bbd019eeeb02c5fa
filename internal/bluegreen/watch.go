// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// watch probes live for the bake time. If live becomes unhealthy, the release
// before it comes back.
func (e *executor) watch(ctx context.Context) error {
	env := e.ledger.Live
	if e.Config.BakeTime > 0 {
		e.progress("watching %s for %s", env, e.Config.BakeTime)
		seen := e.watchLive(ctx)
		if seen.end == watchFoundUnhealthy {
			unhealthy := seen.last.unhealthyError()
			e.addLogs(ctx, unhealthy)
			return e.rollBackAutomatically(ctx, unhealthy)
		}
		if err := seen.err(); err != nil {
			return operationError("watch", env, err)
		}
	}
	return operationError("watch", env, e.commit(ctx, e.ledger.endWatch().markCreated()))
}

// resumeWatch begins the watch again that an interrupted operation left, once it
// has seen that traffic reaches live.
func (e *executor) resumeWatch(ctx context.Context) error {
	awaiting, cancel := context.WithTimeout(ctx, e.Config.SwitchTimeout)
	defer cancel()
	err := e.Platform.AwaitTraffic(awaiting, e.ledger.Live)
	switch {
	case err == nil:
		return e.watch(ctx)
	case ctx.Err() != nil:
		// The wait was interrupted, which says nothing about the traffic.
		return operationError("watch", e.ledger.Live, ctx.Err())
	default:
		return e.giveUpOnError(ctx, e.revertSwitch(ctx, err))
	}
}

// rollBackAutomatically makes the standby live after a watch that found live
// unhealthy. It returns an error in any case.
func (e *executor) rollBackAutomatically(ctx context.Context, unhealthy *UnhealthyError) error {
	env, version := e.ledger.Live, e.ledger.Slot(e.ledger.Live).Release.Version
	// An interrupt must not keep an unhealthy release live.
	cleanup, cancel := e.cleanupContext(ctx)
	defer cancel()
	if err := e.switchToStandby(cleanup, "automatic: "+unhealthy.Error()); err != nil {
		return operationError("watch", env, fmt.Errorf("%w; %s stays live: %w", unhealthy, version, err))
	}
	standby := e.ledger.Slot(e.ledger.Live).Release.Version
	awaiting, cancel := context.WithTimeout(context.WithoutCancel(ctx), e.Config.SwitchTimeout)
	defer cancel()
	if err := e.Platform.AwaitTraffic(awaiting, e.ledger.Live); err != nil {
		return operationError("watch", env,
			fmt.Errorf("%w; traffic was switched back to %s and has not reached it: %w", unhealthy, standby, err))
	}
	return operationError("watch", env, fmt.Errorf("%w; traffic is back on %s", unhealthy, standby))
}

// watchEnd is why a watch ended.
type watchEnd string

const (
	// watchPassed: the bake time is over, and the last probe passed.
	watchPassed watchEnd = "passed"
	// watchFoundUnhealthy: too many probes in a row failed.
	watchFoundUnhealthy watchEnd = "found live unhealthy"
	// watchInterrupted: the context ended before the bake time did.
	watchInterrupted watchEnd = "interrupted"
	// watchCouldNotProbe: the platform did not say which instances there are.
	watchCouldNotProbe watchEnd = "could not probe live"
)

// watchResult is what a watch saw.
type watchResult struct {
	end watchEnd
	// probes counts the probes that had a result. Each covers all instances of live.
	probes int
	// failures counts the failed probes in a row at the end of the watch.
	failures int
	// last is what the last probe found. It is empty if there was none.
	last finding
	// cause is what interrupted the watch or kept it from probing, otherwise nil.
	cause error
}

// withProbe returns the result with one more probe.
func (r watchResult) withProbe(found finding) watchResult {
	r.probes++
	r.failures++
	if found.isHealthy() {
		r.failures = 0
	}
	r.last = found
	return r
}

// withEnd returns the result of a watch that ended so. cause is nil unless
// something kept it from going on.
func (r watchResult) withEnd(end watchEnd, cause error) watchResult {
	r.end, r.cause = end, cause
	return r
}

// err returns why live was not watched to the end, or nil if it was.
func (r watchResult) err() error {
	switch {
	case r.end != watchInterrupted:
		return r.cause
	case r.probes == 0:
		return fmt.Errorf("interrupted: %w; live had not been probed yet", r.cause)
	case r.failures == 0:
		return fmt.Errorf("interrupted: %w; live was healthy at the last of %d probes", r.cause, r.probes)
	default:
		return fmt.Errorf("interrupted: %w; the last %d of %d probes of live failed: %w",
			r.cause, r.failures, r.probes, r.last.unhealthyError())
	}
}

// watchLive probes live until the bake time is over. While the last probe has
// failed it goes on after that, until live has recovered or is found unhealthy.
func (e *executor) watchLive(ctx context.Context) watchResult {
	var seen watchResult
	over := time.Now().Add(e.Config.BakeTime)
	for {
		pause := e.Config.ProbeInterval
		if left := time.Until(over); left > 0 {
			pause = min(pause, left)
		}
		select {
		case <-ctx.Done():
			return seen.withEnd(watchInterrupted, ctx.Err())
		case <-time.After(pause):
		}
		found, err := e.probeLive(ctx)
		switch {
		case ctx.Err() != nil:
			return seen.withEnd(watchInterrupted, ctx.Err())
		case err != nil:
			return seen.withEnd(watchCouldNotProbe, err)
		}
		seen = seen.withProbe(found)
		switch {
		case seen.failures >= max(e.Config.HealthCheckRetries, 1):
			return seen.withEnd(watchFoundUnhealthy, nil)
		case seen.failures == 0 && !time.Now().Before(over):
			return seen.withEnd(watchPassed, nil)
		}
	}
}

// probeLive probes every instance of live once. An instance that an autoscaler
// has added counts only once the platform holds it ready.
func (e *executor) probeLive(ctx context.Context) (finding, error) {
	env := e.ledger.Live
	instances, err := e.Platform.Instances(ctx, env)
	if err != nil {
		return finding{}, err
	}
	slot := e.ledger.Slot(env)
	if slot.Release.Autoscaled {
		instances = slices.DeleteFunc(instances, func(i Instance) bool {
			// The ID stays the same when an instance that has passed restarts.
			passed := slices.ContainsFunc(slot.Passed, func(ref InstanceRef) bool { return ref.ID == i.ID })
			return i.Unready != "" && !passed
		})
	}
	f := newFinding(*slot.Release, instances, e.Config.MinHealthyPercent)
	f.outcomes = make([]outcome, len(instances))
	done := make(chan struct{})
	for i, instance := range instances {
		go func() {
			t := &probedInstance{platform: e.Platform, env: env, instance: instance}
			f.outcomes[i] = outcome{instance: instance, verdict: e.probe(ctx, t)}
			done <- struct{}{}
		}()
	}
	for range instances {
		<-done
	}
	return f, nil
}
