// SPDX-License-Identifier: MPL-2.0

package health

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// errExited is in the cause of each check that had not passed when the instance
// exited. The cause also wraps how the instance ended.
var errExited = errors.New("exited")

// The pause between two probes grows from firstPause to the interval. A service is
// then found healthy at most a fifth of its boot time plus firstPause after it
// came up, and it takes some 25 probes until they are a second apart.
const (
	firstPause = 10 * time.Millisecond
	growth     = 1.2
)

// Checker runs a set of checks that must all pass. It keeps no state between
// calls and may be used for several instances at the same time.
//
// A Target must return soon after the context given to it ends: Probe and Await
// wait for every probe that they have started.
type Checker struct {
	checks    []check
	interval  time.Duration
	timeout   time.Duration
	threshold int
}

var _ bluegreen.Checker = (*Checker)(nil)

// check is one kind of probe, ready to run against any instance.
type check struct {
	// name is the check's key in a Verdict.
	name string
	// subject opens each cause: "GET /healthz". It must hold no secret.
	subject string
	probe   func(ctx context.Context, target bluegreen.Target) error
}

// Probe runs every check once, all at the same time, each for at most the probe
// timeout.
func (c *Checker) Probe(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	results := newResults(c.checks, 1)
	results.record(c.probeAll(ctx, target))
	return results.verdict(ctx)
}

// Await probes at once and then repeatedly, quickly at first, until every check
// has passed as often in a row as the threshold asks, the instance has exited, or
// ctx ends. The cause of a check that has not passed is what the last completed
// probe observed. It is the end of ctx only if no probe completed.
func (c *Checker) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	pace := newPace(c.interval)
	results := newResults(c.checks, c.threshold)
	for {
		results.record(c.probeAll(ctx, target))
		if results.hasPassedAll() {
			return results.verdict(ctx)
		}
		if results.isAnyFailing() {
			if exit := c.askExit(ctx, target); exit != nil {
				return results.verdictOfExit(exit)
			}
		}
		if !sleep(ctx, pace.NextBackOff()) {
			return results.verdict(ctx)
		}
	}
}

// ShortestPass returns the shortest time in which an instance can pass all checks of the
// configuration: the pauses between the probes that Await makes at least. Zero values
// count as the defaults.
func (c Config) ShortestPass() time.Duration {
	interval, threshold := cmp.Or(c.Interval, DefaultInterval), cmp.Or(c.HealthyThreshold, DefaultHealthyThreshold)
	pace, shortest := newPace(interval), time.Duration(0)
	for range threshold - 1 {
		shortest += pace.NextBackOff()
	}
	return shortest
}

// newPace returns the pauses between the probes of an instance.
func newPace(interval time.Duration) *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: min(firstPause, interval),
		Multiplier:      growth,
		MaxInterval:     interval,
	}
}

// probeAll runs every check once and returns the results in the order of the checks.
func (c *Checker) probeAll(ctx context.Context, target bluegreen.Target) []probeResult {
	round := make([]probeResult, len(c.checks))
	var running sync.WaitGroup
	for i := range c.checks {
		running.Go(func() { round[i] = c.runCheck(ctx, c.checks[i], target) })
	}
	running.Wait()
	return round
}

func (c *Checker) runCheck(ctx context.Context, check check, target bluegreen.Target) probeResult {
	probeCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := check.probe(probeCtx, target)
	if err == nil {
		return probeResult{}
	}
	// Once a context has ended, its end is the reason for most errors ("use of
	// closed network connection"). An answer of the service still counts.
	if _, answered := errors.AsType[*rejection](err); !answered {
		if ctx.Err() != nil {
			return probeResult{interrupted: true}
		}
		if probeCtx.Err() != nil && !errors.Is(err, bluegreen.ErrCouldNotAsk) {
			err = fmt.Errorf("no answer within %s", c.timeout)
		}
	}
	return probeResult{cause: newCause(check.subject, err)}
}

// askExit returns how the instance ended, nil if it runs or the platform did not
// answer in time: an error that comes with the end of ctx says nothing about the
// instance.
func (c *Checker) askExit(ctx context.Context, target bluegreen.Target) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	exit := target.Exited(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return exit
}

// sleep waits for d and returns true, or false as soon as ctx ends.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
