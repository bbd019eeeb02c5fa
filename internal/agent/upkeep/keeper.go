// SPDX-License-Identifier: MPL-2.0

package upkeep

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// Plan says how the replicas of one release are looked after.
type Plan struct {
	Thresholds

	Checker bluegreen.Checker
	// Interval is the time from one probe to the next.
	Interval time.Duration
	// RestartAfter is how long a replica may be unhealthy until it is started again. If it
	// is 0, the replica is not started again.
	RestartAfter time.Duration
}

// Replica is one run of a replica that is to be looked after.
type Replica struct {
	Run
	// Target is what the probes connect to. Its ID names the replica: "green-2".
	Target bluegreen.Target
	// Ready, if not nil, returns what runs the replica finds of it, as
	// bluegreen.Readiness does. Its checks count like those of the probes.
	Ready func(ctx context.Context) bluegreen.Verdict
	Plan  *Plan
	// IsStandby replicas are probed more rarely.
	IsStandby bool
	// IsListening is false for a run that may not have begun to listen. It gets some time.
	IsListening bool
	// HasPassed is set for a run that has just passed the health check of an apply. It is
	// then healthy, even if its last probes failed.
	HasPassed bool
	// Restart starts the replica again and does not wait for it; nil if that is not
	// possible.
	Restart func()
}

// Run identifies one run of a replica, as the router does.
type Run struct {
	Environment bluegreen.Environment
	// Backend and Address are those of router.Backend.
	Backend, Address string
}

// UnhealthyRun is a run that is unhealthy.
type UnhealthyRun struct {
	Run
	Cause string
	// Since is when it became unhealthy, or was last started again for that.
	Since time.Time
}

// Load counts the replicas that all Keepers of an agent look after. With more replicas, each
// is probed less often, so that the probes together cost the same.
type Load struct{ replicas atomic.Int64 }

// Keeper looks after the replicas of one deployment. It is safe for concurrent use.
type Keeper struct {
	ctx context.Context
	log *slog.Logger
	// load counts the replicas of this Keeper and of the others.
	load *Load
	// changed is called, without a lock, when a replica has become healthy or unhealthy.
	changed func()

	mu   sync.Mutex
	runs map[Run]*probedReplica
	// remembered are the runs that were unhealthy when the former agent ended, until they are
	// looked after.
	remembered map[Run]UnhealthyRun
	// restarted is when a replica of the environment was last started again.
	restarted map[bluegreen.Environment]time.Time
	// restarts counts how often a replica was started again since it last passed a probe.
	restarts map[replicaName]int
}

// replicaName identifies a replica in all its runs.
type replicaName struct {
	environment bluegreen.Environment
	id          string
}

func (p *probedReplica) name() replicaName { return replicaName{p.Environment, p.Target.ID()} }

// probedReplica is a replica with its condition; Keeper.mu guards it.
type probedReplica struct {
	Replica
	condition
	// stop ends the probing.
	stop context.CancelFunc
}

// New returns a Keeper that looks after nothing yet. It ends with ctx. changed is called
// when a replica has become healthy or unhealthy. load is that of all Keepers of the agent.
func New(ctx context.Context, log *slog.Logger, load *Load, changed func()) *Keeper {
	k := &Keeper{
		ctx: ctx, log: log, load: load, changed: changed,
		runs:      map[Run]*probedReplica{},
		restarted: map[bluegreen.Environment]time.Time{}, restarts: map[replicaName]int{},
	}
	context.AfterFunc(ctx, func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.load.replicas.Add(-int64(len(k.runs)))
		clear(k.runs)
	})
	return k
}

// Set replaces the replicas that are looked after. A run that was looked after before stays
// as healthy or unhealthy as it was. Set does not call changed.
func (k *Keeper) Set(replicas []Replica) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.ctx.Err() != nil {
		return
	}
	wanted := map[Run]bool{}
	for _, r := range replicas {
		wanted[r.Run] = true
	}
	k.load.replicas.Add(int64(len(wanted) - len(k.runs)))
	for _, r := range replicas {
		k.add(r)
	}
	for run, p := range k.runs {
		if !wanted[run] {
			p.stop()
			delete(k.runs, run)
		}
	}
}

// add begins to look after r, or applies a change of its plan.
func (k *Keeper) add(r Replica) {
	present := k.runs[r.Run]
	if present != nil && present.Plan == r.Plan && present.IsStandby == r.IsStandby && !r.HasPassed {
		return
	}
	p := &probedReplica{Replica: r, condition: condition{hasPassed: r.HasPassed}}
	if present != nil {
		present.stop()
		if !r.HasPassed {
			p.condition = present.condition
		}
	}
	if before, ok := k.remembered[r.Run]; ok && present == nil && !r.HasPassed {
		p.condition = condition{isUnhealthy: true, cause: before.Cause, since: before.Since}
	}
	delete(k.remembered, r.Run)
	var ctx context.Context
	ctx, p.stop = context.WithCancel(k.ctx)
	k.runs[r.Run] = p
	go k.probeRepeatedly(ctx, p, p.firstPause(k.load))
}

// Remember makes runs unhealthy from the beginning, once they are looked after: they were so
// when the former agent ended.
func (k *Keeper) Remember(unhealthy []UnhealthyRun) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.remembered = map[Run]UnhealthyRun{}
	for _, run := range unhealthy {
		k.remembered[run.Run] = run
	}
}

// Unhealthy returns the runs that are unhealthy, ordered by environment and backend.
func (k *Keeper) Unhealthy() []UnhealthyRun {
	k.mu.Lock()
	defer k.mu.Unlock()
	var list []UnhealthyRun
	for run, p := range k.runs {
		if p.isUnhealthy {
			list = append(list, UnhealthyRun{run, p.cause, p.since})
		}
	}
	slices.SortFunc(list, func(a, b UnhealthyRun) int {
		return cmp.Or(cmp.Compare(a.Environment, b.Environment), cmp.Compare(a.Backend, b.Backend))
	})
	return list
}

// UnhealthyCause returns why the run is unhealthy, "" if it is not.
func (k *Keeper) UnhealthyCause(run Run) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if p := k.runs[run]; p != nil {
		return p.cause
	}
	return ""
}

// ReportFailure records that a request has failed on the run, the last of inARow.
func (k *Keeper) ReportFailure(run Run, inARow int, cause error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.runs[run]
	if p == nil {
		return
	}
	if p.failRequests(p.Plan.Thresholds, inARow, "requests: "+cause.Error(), time.Now()) {
		k.announce(p)
	}
}

// announce logs the new condition of p, and has the owner follow it. The owner has locks
// of its own, and may be about to call Set.
func (k *Keeper) announce(p *probedReplica) {
	log := k.log.With("replica", p.Target.ID())
	if p.isUnhealthy {
		log.Warn("replica is unhealthy", "cause", p.cause)
	} else {
		log.Info("replica is healthy again")
	}
	go func() {
		if k.ctx.Err() == nil {
			k.changed()
		}
	}()
}
