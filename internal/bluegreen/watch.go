// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// watch probes live for the bake time. If live becomes unhealthy, the release
// before it comes back. known has the runs of instances that were seen before, as
// probeLive needs them.
func (e *executor) watch(ctx context.Context, known map[string]string) error {
	env := e.ledger.Live
	if e.Config.BakeTime > 0 {
		e.progress("watching %s for %s", env, e.Config.BakeTime)
		seen := e.watchLive(ctx, known)
		if seen.end == watchFoundUnhealthy {
			unhealthy := seen.last.unhealthyError()
			e.addLogs(ctx, unhealthy)
			return e.rollBackAutomatically(ctx, unhealthy)
		}
		if err := seen.err(); err != nil {
			return operationError("watch", env, err)
		}
	}
	// The release has gone live and was watched to the end. An interrupt changes nothing of
	// that any more.
	ctx, cancel := e.cleanupContext(ctx)
	defer cancel()
	return operationError("watch", env, e.commit(ctx, e.ledger.endWatch().markCreated()))
}

// resumeWatch begins the watch again that an interrupted operation left, once it
// has seen that traffic reaches live.
func (e *executor) resumeWatch(ctx context.Context) error {
	awaiting, cancel := context.WithTimeout(ctx, e.Config.SwitchTimeout)
	defer cancel()
	err := e.Platform.AwaitTraffic(awaiting, e.ledger.Live)
	if err == nil {
		// The instances may have been started again since the switch, for example because
		// the machine was. Only what happens from now on counts.
		return e.watch(ctx, map[string]string{})
	}
	if ctx.Err() != nil {
		// The wait was interrupted, which says nothing about the traffic.
		return operationError("watch", e.ledger.Live, endOf(ctx))
	}
	live := e.ledger.Live
	if record, _ := e.ledger.LiveRecord(); record.Replaced == "" {
		// There is nothing to put the traffic back to. Some of it may arrive.
		return operationError("switch", live, fmt.Errorf("traffic did not reach %s: %w", live, err))
	}
	err = e.revertSwitch(ctx, err)
	if e.ledger.Live == live {
		// It could not be reverted. What is in staging has nothing to do with it.
		return err
	}
	return e.giveUpOnError(ctx, err)
}

// rollBackAutomatically makes the standby live after a watch that found live
// unhealthy. It returns an error in any case.
func (e *executor) rollBackAutomatically(ctx context.Context, unhealthy *UnhealthyError) error {
	env, version := e.ledger.Live, e.ledger.Slot(e.ledger.Live).Release.Version
	if _, available := e.ledger.RollbackTarget(); !available && !e.ledger.Created {
		// The first release has failed. Create removes it.
		return operationError("watch", env, unhealthy)
	}
	// An interrupt must not keep an unhealthy release live.
	cleanup, cancel := e.cleanupContext(ctx)
	defer cancel()
	if err := e.switchToStandby(cleanup, "automatic: "+unhealthy.Error(), FromWatch); err != nil {
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

// watchLive probes live until the bake time is over. While the last probe has
// failed it goes on after that, until live has recovered or is found unhealthy.
//
// A probe without a result, because the platform did not answer, counts neither
// way. If that lasts longer than an attempt of the health check may take, the
// platform's own judgement counts, and without one the watch ends.
func (e *executor) watchLive(ctx context.Context, runs map[string]string) watchResult {
	var seen watchResult
	over := time.Now().Add(e.Config.BakeTime)
	for {
		pause := e.Config.ProbeInterval
		if left := time.Until(over); left > 0 {
			pause = min(pause, left)
		}
		e.pause(ctx, pause)
		if ctx.Err() != nil {
			return seen.withEnd(watchInterrupted, endOf(ctx))
		}
		found, err := e.probeLive(ctx, runs)
		if ctx.Err() != nil {
			return seen.withEnd(watchInterrupted, endOf(ctx))
		}
		if err == nil && found.isUnknown() {
			err = found.err()
		}
		if err != nil {
			seen = seen.withoutAnswer(err, time.Now())
			if time.Since(seen.unaskedSince) < e.Config.HealthCheckTimeout {
				continue
			}
			if found = found.withReadiness(); found.size == 0 || found.isUnknown() {
				return seen.withEnd(watchCouldNotProbe, err)
			}
			seen = seen.withReadinessOnly(found)
		} else {
			seen = seen.withProbe(found)
		}
		switch {
		case max(seen.failedInARow, seen.restarts) >= e.Config.UnhealthyThreshold:
			return seen.withEnd(watchFoundUnhealthy, nil)
		case seen.failedInARow == 0 && !time.Now().Before(over):
			return seen.withEnd(watchPassed, nil)
		}
	}
}

// runsOf returns the incarnation of each instance by its ID.
func runsOf(passed []InstanceRef) map[string]string {
	runs := map[string]string{}
	for _, ref := range passed {
		runs[ref.ID] = ref.Incarnation
	}
	return runs
}

// probeLive probes every instance of live once. An instance that an autoscaler
// has added counts only once the platform holds it ready. runs has the run of each
// instance that was seen last, by its ID. An instance that runs again since then
// fails, however well it works now.
func (e *executor) probeLive(ctx context.Context, runs map[string]string) (finding, error) {
	env := e.ledger.Live
	instances, err := e.list(ctx, env)
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
	f.outcomes = forEach(instances, func(i Instance) outcome { return e.probeOnce(ctx, env, i) })
	for i, o := range f.outcomes {
		if former, known := runs[o.instance.ID]; known && former != o.instance.Incarnation && o.instance.Running {
			f.outcomes[i].exit = restartOf(o.instance)
		}
		runs[o.instance.ID] = o.instance.Incarnation
	}
	return f, nil
}

// forEach returns what f returns for each of the instances. It calls f for all of them at
// the same time.
func forEach[T any](instances []Instance, f func(Instance) T) []T {
	results := make([]T, len(instances))
	var running sync.WaitGroup
	for i, instance := range instances {
		running.Go(func() { results[i] = f(instance) })
	}
	running.Wait()
	return results
}

// probeOnce probes instance once. If it fails, the outcome says whether it has exited.
func (e *executor) probeOnce(ctx context.Context, env Environment, instance Instance) outcome {
	t := &probedInstance{platform: e.Platform, env: env, instance: instance}
	o := outcome{instance: instance}
	o.verdict, o.readiness = e.probe(ctx, t)
	if !o.verdict.IsHealthy() && !o.isUnknown() {
		o.exit = t.Exited(ctx)
	}
	return o
}
