// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"net"
	"reflect"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/upkeep"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// candidate is a replica that may get traffic, with what its upkeep needs.
type candidate struct {
	frontend.Replica
	// id names the replica: "green-2".
	id string
	// isExternal is set for a replica that runs outside of the agent.
	isExternal bool
	// incarnation is the run of a process, "" for an external replica.
	incarnation string
	// isListening is false for a process that does not listen on its port. It gets no requests,
	// and its probes fail.
	isListening bool
	// dial connects to the replica and to nothing else.
	dial func(ctx context.Context) (net.Conn, error)
	// exec and restart are nil where the agent cannot do that, and ready where nothing but
	// the probes tells whether the replica is healthy.
	exec    func(ctx context.Context, command []string) error
	restart func()
	ready   func(ctx context.Context) bluegreen.Verdict
}

func (c candidate) canExec() bool { return c.exec != nil }

// plans are the plans of releases, which stay the same until their upkeep changes.
type plans map[planKey]plan

type planKey struct {
	fingerprint string
	canExec     bool
}

type plan struct {
	from store.Upkeep
	plan *upkeep.Plan
}

// of returns how a replica that runs a release with upkeep u is looked after, nil if no
// check of u can be run on it.
func (p plans) of(u store.Upkeep, canExec bool) (*upkeep.Plan, error) {
	key := planKey{u.Fingerprint, canExec}
	if present, ok := p[key]; ok && reflect.DeepEqual(present.from, u) {
		return present.plan, nil
	}
	made, err := newPlan(u, canExec)
	p[key] = plan{u, made}
	return made, err
}

func newPlan(u store.Upkeep, canExec bool) (*upkeep.Plan, error) {
	config := u.Health
	if !canExec && config.Exec != nil {
		// The agent reaches only the port of the replica.
		if config.Exec = nil; config.HTTP == nil && config.TCP == nil && config.GRPC == nil {
			return nil, nil
		}
	}
	checker, err := health.New(config)
	if err != nil {
		return nil, err
	}
	return &upkeep.Plan{
		Thresholds: upkeep.Thresholds{
			Unhealthy: u.UnhealthyThreshold, Healthy: max(config.HealthyThreshold, health.DefaultHealthyThreshold),
		},
		Checker: checker, Interval: config.Interval, RestartAfter: u.RestartAfter,
	}, nil
}

// lookAfter has the keeper look after the candidates that have passed their health check.
// After a commit former is the ledger before it: what has passed since then is healthy.
func (d *deployment) lookAfter(former *bluegreen.Ledger) {
	l, list := d.ledger.Current().Ledger, []upkeep.Replica{}
	for name, env := range d.environments {
		slot := l.Slot(name)
		if slot.Release == nil || slot.State == bluegreen.Deploying || slot.State == bluegreen.Failed {
			continue
		}
		u, found := d.upkeep.Find(slot.Release.Fingerprint)
		if !found {
			continue
		}
		for _, c := range env.candidates() {
			if !store.CanReceiveTraffic(slot.Passed, c.Ref) {
				continue
			}
			if u.WatchesEngine {
				c = d.withEngine(c, name)
			}
			plan, err := d.plans.of(u, c.canExec())
			if err != nil {
				d.log.Error("replicas are not looked after", "environment", name, "error", err)
			}
			if plan != nil {
				list = append(list, upkeep.Replica{
					Run: runOf(name, c.Backend), Plan: plan, Target: probeTarget{c}, Ready: c.ready,
					Restart: c.restart, IsStandby: slot.State == bluegreen.Idle, IsListening: c.isListening,
					HasPassed: former != nil && c.isAmong(newlyPassed(slot, former.Slot(name))),
				})
			}
		}
	}
	d.keeper.Set(list)
}

// newlyPassed are the runs that have passed their health check since former.
func newlyPassed(slot, former bluegreen.Slot) []bluegreen.InstanceRef {
	return slices.DeleteFunc(slices.Clone(slot.Passed), func(ref bluegreen.InstanceRef) bool {
		return slices.Contains(former.Passed, ref)
	})
}

// isAmong reports whether this run of the replica is in passed.
func (c candidate) isAmong(passed []bluegreen.InstanceRef) bool {
	if c.isExternal {
		return store.CanReceiveTraffic(passed, c.Ref)
	}
	return slices.Contains(passed, bluegreen.InstanceRef{ID: c.id, Incarnation: c.incarnation})
}

func runOf(env bluegreen.Environment, b router.Backend) upkeep.Run {
	return upkeep.Run{Environment: env, Backend: b.ID, Address: b.Addr}
}

// unhealthyCause returns why a replica is unhealthy, "" if it is not.
// A replica of the standby that could not be started again is no good for a rollback.
func (d *deployment) unhealthyCause(env bluegreen.Environment, b router.Backend) string {
	problem := d.environments[env].problemOf()
	if l := d.ledger.Current().Ledger; problem != nil && (!l.IsServing() || env != l.Live) {
		return "it could not be started again: " + problem.Error()
	}
	return d.keeper.UnhealthyCause(runOf(env, b))
}

// observedCause is unhealthyCause for callers that do not hold the lock.
func (d *deployment) observedCause(env bluegreen.Environment, b router.Backend) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unhealthyCause(env, b)
}

// reportFailure is the frontend's report.
func (d *deployment) reportFailure(env bluegreen.Environment, b router.Backend, inARow int, cause error) {
	d.keeper.ReportFailure(runOf(env, b), inARow, cause)
}

// probeTarget is a candidate as probes see it.
type probeTarget struct{ candidate }

var _ bluegreen.Target = probeTarget{}

func (t probeTarget) ID() string { return t.id }

func (t probeTarget) Dial(ctx context.Context) (net.Conn, error) { return t.dial(ctx) }

func (t probeTarget) Exec(ctx context.Context, command []string) error {
	if !t.canExec() {
		return errors.New("the agent runs no commands in this replica")
	}
	return t.exec(ctx, command)
}

// Exited returns nil: a replica that has ended is no candidate.
func (t probeTarget) Exited(context.Context) error { return nil }
