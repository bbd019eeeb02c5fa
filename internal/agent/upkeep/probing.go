// SPDX-License-Identifier: MPL-2.0

package upkeep

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

const (
	// minInterval is the shortest time from one probe to the next.
	minInterval = time.Second
	// standbyFactor is how much more rarely a standby is probed.
	standbyFactor = 6
	// maxProbes is how many probes in a second the replicas of an agent get together while
	// all pass. A probe costs some 0.5 ms of a core, mostly for its connection.
	maxProbes = 10
	// jitter is the part of an interval that is random, so that the probes of many
	// replicas do not come together. It only makes an interval shorter.
	jitter = 0.1
)

// plannedInterval is the time from one probe of the replica to the next, whatever the
// probes find.
func (p *probedReplica) plannedInterval() time.Duration {
	interval := max(p.Plan.Interval, minInterval)
	if p.IsStandby {
		interval *= standbyFactor
	}
	return interval
}

// interval is the time from one probe of the replica to the next, after what was found so
// far. A run that has not passed yet may still be starting: it is probed at first as often as
// possible, and after each probe that fails more rarely.
func (p *probedReplica) interval(load *Load) time.Duration {
	interval := p.plannedInterval()
	switch {
	case !p.hasPassed:
		interval = min(interval, time.Duration(max(p.failures, 1))*minInterval)
	case !p.isUnhealthy && p.failures == 0:
		interval = max(interval, time.Duration(load.replicas.Load())*time.Second/maxProbes)
	}
	return interval - time.Duration(rand.Float64()*jitter*float64(interval))
}

// firstPause is the time until the first probe. A run that nothing is known of is probed
// at once if it listens.
func (p *probedReplica) firstPause(load *Load) time.Duration {
	switch {
	case !p.hasPassed && !p.isUnhealthy && p.IsListening:
		return 0
	case !p.hasPassed && !p.isUnhealthy:
		return minInterval
	}
	return time.Duration(rand.Float64() * float64(p.interval(load)))
}

// maxOverlap is how many probes of one replica run at the same time. A probe of a replica
// that hangs takes its whole timeout. The next one does not wait for it: with several of
// them, it takes only one timeout longer to find such a replica than one that refuses.
const maxOverlap = 3

// probeRepeatedly probes p until ctx ends, for the first time after pause. An interval
// runs from the start of a probe to the start of the next one.
func (k *Keeper) probeRepeatedly(ctx context.Context, p *probedReplica, pause time.Duration) {
	timer := time.NewTimer(pause)
	defer timer.Stop()
	// pauses are the times until the next probe, one from each probe that has ended.
	pauses := make(chan time.Duration, maxOverlap)
	for running := 0; ; {
		select {
		case <-ctx.Done():
			return
		case pause := <-pauses:
			running--
			timer.Reset(pause)
		case <-timer.C:
			if running == maxOverlap {
				continue // The next one that ends sets the timer.
			}
			running++
			timer.Reset(p.plannedInterval())
			go func() {
				begin := time.Now()
				if verdict := p.probe(ctx); ctx.Err() == nil {
					pauses <- k.record(p, verdict) - time.Since(begin)
				}
			}()
		}
	}
}

// probe asks the replica once, and what runs it.
func (p *probedReplica) probe(ctx context.Context) bluegreen.Verdict {
	verdict := p.Plan.Checker.Probe(ctx, p.Target)
	if p.Ready == nil {
		return verdict
	}
	both := maps.Clone(verdict)
	maps.Copy(both, p.Ready(ctx))
	return both
}

// record takes the result of a probe into account, and returns the time from that probe
// to the next. A verdict that decides nothing changes nothing: a replica that is about to
// be judged is not started again either.
func (k *Keeper) record(p *probedReplica, verdict bluegreen.Verdict) (interval time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.runs[p.Run] != p {
		return minInterval // It is about to end.
	}
	changed, now, failures := false, time.Now(), describe(verdict)
	switch {
	case verdict.IsHealthy():
		changed = p.pass(p.Plan.Thresholds)
		delete(k.restarts, p.name())
	case failures == "":
		return p.interval(k.load)
	default:
		changed = p.fail(p.Plan.Thresholds, failures, now)
	}
	if changed {
		k.announce(p)
	}
	k.restartOverdue(p, now)
	return p.interval(k.load)
}

// restartOverdue starts p again if it has been unhealthy for too long. If most replicas
// are unhealthy they stay in the traffic, and some of their requests may succeed: so the
// replicas of an environment are not started again together, but one in each RestartAfter.
func (k *Keeper) restartOverdue(p *probedReplica, now time.Time) {
	if !k.isOverdue(p, now) || now.Sub(k.restarted[p.Environment]) < p.Plan.RestartAfter {
		return
	}
	for _, other := range k.runs {
		if k.isOverdue(other, now) && other.Environment == p.Environment && other.since.Before(p.since) {
			return // Its turn comes first.
		}
	}
	k.log.Warn("starting an unhealthy replica again", "replica", p.Target.ID(), "cause", p.cause)
	p.since, k.restarted[p.Environment] = now, now
	k.restarts[p.name()]++
	p.Restart()
}

// maxRestartDelay is the longest time until a replica is started again that has not passed
// since it was last started again, unless its RestartAfter is longer. It is that of the
// kubelet (https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy).
const maxRestartDelay = 5 * time.Minute

// isOverdue reports whether p is to be started again. Each time that it has not passed since
// then it gets twice as long: a replica may need more time to start than RestartAfter.
func (k *Keeper) isOverdue(p *probedReplica, now time.Time) bool {
	after := p.Plan.RestartAfter
	for range k.restarts[p.name()] {
		after = max(p.Plan.RestartAfter, min(2*after, maxRestartDelay))
	}
	return p.Restart != nil && p.isOverdue(after, now)
}

// describe returns why a verdict is not healthy, in one line. It is "" if no check has
// failed: a check that could not be made says nothing about the replica.
func describe(verdict bluegreen.Verdict) string {
	var causes []string
	for _, name := range slices.Sorted(maps.Keys(verdict)) {
		if err := verdict[name]; err != nil && !errors.Is(err, bluegreen.ErrCouldNotAsk) {
			causes = append(causes, fmt.Sprintf("%s: %v", name, err))
		}
	}
	return strings.Join(causes, "; ")
}
