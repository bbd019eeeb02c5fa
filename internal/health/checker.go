// SPDX-License-Identifier: MPL-2.0

// Package health tells whether an instance does its work, by asking it: over
// HTTP, TCP, the gRPC health protocol, or by a command run beside it.
//
// Every probe reaches the instance through bluegreen.Target alone, so that a
// process on this machine, a container and a pod are checked by the same code.
package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// ErrExited is in the cause of every check that had not passed when the
// instance was found to have exited; how it ended is wrapped beside it.
var ErrExited = errors.New("exited")

// The pause between two probes grows from firstPause up to the interval. A
// service is then seen at most a fifth of its boot time plus firstPause after it
// came up, at the price of some 25 probes before they are a second apart.
const (
	firstPause = 10 * time.Millisecond
	growth     = 1.2
)

// Checker runs a set of checks that must all pass. It keeps no state between
// calls and may be used for several instances at the same time.
//
// A Target must return soon after the context given to it ends: no call here
// returns before every probe that it started.
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

// Probe runs every check once, all at the same time, each for at most the
// probe timeout.
func (c *Checker) Probe(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	tally := newTally(c.checks, 1)
	tally.add(c.round(ctx, target))
	return tally.verdict(ctx)
}

// Await probes at once and then again and again, quickly at first, until every
// check has passed as often in a row as the threshold asks, the instance has
// exited, or ctx ends. A check that has not passed keeps the last cause that a
// probe observed; only one that no probe ever completed blames ctx.
func (c *Checker) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	pace := backoff.ExponentialBackOff{
		InitialInterval: min(firstPause, c.interval),
		Multiplier:      growth,
		MaxInterval:     c.interval,
	}
	tally := newTally(c.checks, c.threshold)
	for {
		tally.add(c.round(ctx, target))
		if tally.settled() {
			return tally.verdict(ctx)
		}
		if tally.failing() {
			if exit := c.exited(ctx, target); exit != nil {
				return tally.exitedVerdict(exit)
			}
		}
		if !pause(ctx, pace.NextBackOff()) {
			return tally.verdict(ctx)
		}
	}
}

// round runs every check once and returns their outcomes in the order of the checks.
func (c *Checker) round(ctx context.Context, target bluegreen.Target) []outcome {
	outcomes := make([]outcome, len(c.checks))
	var running sync.WaitGroup
	for i := range c.checks {
		running.Go(func() { outcomes[i] = c.run(ctx, c.checks[i], target) })
	}
	running.Wait()
	return outcomes
}

func (c *Checker) run(ctx context.Context, check check, target bluegreen.Target) outcome {
	probeCtx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := check.probe(probeCtx, target)
	if err == nil {
		return outcome{}
	}
	// An error that came with the end of a context is about that context ("use
	// of closed network connection"), unless the service had answered by then.
	if _, answered := errors.AsType[*refusal](err); !answered {
		if ctx.Err() != nil {
			return outcome{interrupted: true}
		}
		if probeCtx.Err() != nil {
			err = fmt.Errorf("no answer within %s", c.timeout)
		}
	}
	return outcome{cause: newCause(check.subject, err)}
}

// exited asks how the instance ended. An answer that took too long or came
// from the end of ctx is about the question, not about the instance.
func (c *Checker) exited(ctx context.Context, target bluegreen.Target) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	exit := target.Exited(ctx)
	if ctx.Err() != nil {
		return nil
	}
	return exit
}

// pause reports whether it lasted its whole time: false means that ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
