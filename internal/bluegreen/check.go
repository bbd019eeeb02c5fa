// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// check runs the health check of staging and records the evidence.
func (e *executor) check(ctx context.Context) (HealthResult, error) {
	env := e.ledger.Staging()
	slot := e.ledger.Slot(env)
	if slot.State != Ready {
		return HealthResult{}, invalidState("health check", env, "it is %s, not ready", slot.State)
	}
	e.progress("checking the health of %s in %s", slot.Release.Version, env)
	result, err := e.checkHealth(ctx, env)
	if err != nil && len(result.Details) == 0 {
		return result, operationError("health check", env, err)
	}
	next, transitionErr := e.ledger.recordCheck(result)
	if transitionErr != nil {
		return result, transitionErr
	}
	if err != nil {
		// giveUpOnError commits the evidence together with the failure.
		e.ledger = next
		return result, operationError("health check", env, err)
	}
	return result, operationError("health check", env, e.commit(ctx, next))
}

// checkHealth makes one attempt after the other. It ends when enough instances of
// env are healthy, when the attempts are used up, or when so many instances of staging
// have exited that no attempt can succeed. In live they are started again, and so are those
// that are not ready, once, after the first attempt.
func (e *executor) checkHealth(ctx context.Context, env Environment) (HealthResult, error) {
	began := e.Now()
	for attempt := 0; ; attempt++ {
		found, err := e.attemptCheck(ctx, env)
		result := HealthResult{}
		if err == nil {
			result = found.healthResult(e.Now().Sub(began))
			if result.Healthy {
				return result, nil
			}
			if ctx.Err() != nil {
				return result, fmt.Errorf("%w while %w", endOf(ctx), found.unhealthyError())
			}
			err = found.err()
		}
		if ctx.Err() != nil {
			return result, endOf(ctx)
		}
		isOver := found.isHopeless() && !e.isLive(env)
		if attempt >= e.Config.HealthCheckRetries || isOver {
			var unhealthy *UnhealthyError
			if errors.As(err, &unhealthy) {
				e.addLogs(ctx, unhealthy)
			}
			return result, err
		}
		e.progress("attempt %d of %d: %v", attempt+1, e.Config.HealthCheckRetries+1, err)
		if attempt == 0 && e.isLive(env) {
			// A replica may have turned unhealthy since the operation began.
			if err := e.restartUnready(ctx); err != nil {
				return result, err
			}
		}
		if errors.Is(err, ErrCouldNotAsk) || found.isHopeless() {
			// The attempt failed at once. The platform, or what it starts again, gets time.
			e.pause(ctx, e.Config.ProbeInterval)
		}
	}
}

// pause waits for d, or until ctx ends.
func (e *executor) pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// list returns the instances of env. An error of the platform wraps ErrCouldNotAsk.
func (e *executor) list(ctx context.Context, env Environment) ([]Instance, error) {
	instances, err := e.Platform.Instances(ctx, env)
	switch {
	case err == nil:
		return instances, nil
	case ctx.Err() != nil:
		return nil, endOf(ctx)
	default:
		return nil, fmt.Errorf("%w: %w", ErrCouldNotAsk, err)
	}
}

// endError says in words why a context has ended. It unwraps to the context's error.
type endError struct{ cause error }

// endOf returns why ctx has ended.
func endOf(ctx context.Context) error { return &endError{ctx.Err()} }

func (e *endError) Error() string {
	if errors.Is(e.cause, context.DeadlineExceeded) {
		return "out of time"
	}
	return "interrupted"
}

func (e *endError) Unwrap() error { return e.cause }

// attemptCheck probes every instance of env until it passes or HealthCheckTimeout
// is over. The time begins once the platform has listed the instances: a platform
// that is slow says nothing about the release.
func (e *executor) attemptCheck(ctx context.Context, env Environment) (finding, error) {
	instances, err := e.list(ctx, env)
	if err != nil {
		return finding{}, err
	}
	attempt, cancel := context.WithTimeout(ctx, e.Config.HealthCheckTimeout)
	defer cancel()
	release := e.ledger.Slot(env).Release
	f := newFinding(*release, instances, e.Config.MinHealthyPercent)
	outcomes := make(chan outcome)
	for _, instance := range instances {
		go func() { outcomes <- e.checkInstance(attempt, env, instance) }()
	}
	for range instances {
		o := <-outcomes
		o.cut = f.isHopeless() && o.exit == nil
		f.outcomes = append(f.outcomes, o)
		if f.isHopeless() {
			cancel()
		}
	}
	slices.SortFunc(f.outcomes, func(a, b outcome) int { return strings.Compare(a.instance.ID, b.instance.ID) })
	if !f.isHealthy() && !slices.ContainsFunc(f.outcomes, f.isScaledAway) {
		return f, nil
	}
	now, err := e.list(ctx, env)
	if err != nil {
		return finding{}, err
	}
	return f.withExits(now).withoutScaledAway(now, e.Config.MinHealthyPercent), nil
}

// isLive reports whether env has the traffic.
func (e *executor) isLive(env Environment) bool { return e.ledger.IsServing() && env == e.ledger.Live }

// isAboutToStart reports whether the platform is about to start the instance. In live that
// is every one that does not run, because live is started again after an exit.
func (e *executor) isAboutToStart(env Environment, instance Instance) bool {
	return instance.Pending || !instance.Running && e.isLive(env)
}

// awaitStart returns the instance as it is once it is not about to be started any more, or
// when ctx ends.
func (e *executor) awaitStart(ctx context.Context, env Environment, instance Instance) Instance {
	for e.isAboutToStart(env, instance) && ctx.Err() == nil {
		e.pause(ctx, min(e.Config.ProbeInterval, startPause))
		instances, err := e.Platform.Instances(ctx, env)
		i := slices.IndexFunc(instances, func(i Instance) bool { return i.ID == instance.ID })
		if err == nil && i >= 0 {
			instance = instances[i]
		}
	}
	return instance
}

// startPause is the longest pause between two looks at an instance that is about to start.
const startPause = 100 * time.Millisecond

// checkInstance waits until instance passes its health check, exits, or ctx ends.
func (e *executor) checkInstance(ctx context.Context, env Environment, instance Instance) outcome {
	instance = e.awaitStart(ctx, env, instance)
	if e.isAboutToStart(env, instance) {
		o := outcome{instance: instance, verdict: Verdict{"start": errors.New("it has not been started yet")}}
		if !instance.Pending {
			o.exit = exitOf([]Instance{instance}, instance)
		}
		return o
	}
	t := &probedInstance{platform: e.Platform, env: env, instance: instance}
	o := outcome{instance: instance, verdict: e.awaitHealthy(ctx, t)}
	if exit := t.exit.Load(); exit != nil && !o.verdict.IsHealthy() {
		o.exit = *exit
	}
	return o
}

// logLines is how many of an unhealthy instance's last lines an error shows.
const logLines = 10

// addLogs adds the last lines that each unhealthy instance wrote. Logs that
// cannot be read are left out, and those of an instance that was not checked to the end: it may
// not have written yet what is the matter.
func (e *executor) addLogs(ctx context.Context, unhealthy *UnhealthyError) {
	for i := range unhealthy.Instances {
		if unhealthy.Instances[i].cut {
			continue
		}
		lines, err := e.Platform.Logs(ctx, unhealthy.Instances[i].Instance, logLines)
		if err == nil {
			unhealthy.Instances[i].Logs = lines
		}
	}
}
