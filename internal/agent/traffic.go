// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// traffic decides, from the ledger and from what runs, who gets requests.
//
// Every environment has two pools, one for either door, so that draining the
// live door is not held up by somebody who looks at the preview.
type traffic struct {
	log *slog.Logger
	// guard is held by whoever uses this.
	guard sync.Locker
	// live is the environment that requests go to, "" for none.
	live    bluegreen.Environment
	serving map[bluegreen.Environment]*router.Pool
	preview map[bluegreen.Environment]*router.Pool
	// members counts what is in the serving pools.
	members map[bluegreen.Environment]int
	// drains are the clocks of environments that were live.
	drains map[bluegreen.Environment]*drainClock
	// changed is closed when any of this changes.
	changed chan struct{}
}

// candidate is a replica that may get traffic.
type candidate struct {
	router.Backend
	// ref must have passed; see CanReceiveTraffic.
	ref bluegreen.InstanceRef
}

// CanReceiveTraffic reports whether a replica gets traffic when those in passed have passed
// their health check. Without an incarnation any run of the place will do.
func CanReceiveTraffic(passed []bluegreen.InstanceRef, replica bluegreen.InstanceRef) bool {
	return slices.ContainsFunc(passed, func(ref bluegreen.InstanceRef) bool {
		return ref.ID == replica.ID && (replica.Incarnation == "" || store.IsRunOf(ref, replica.ID, replica.Incarnation))
	})
}

func newTraffic(metrics *router.Metrics, log *slog.Logger, guard sync.Locker) *traffic {
	t := &traffic{
		log:     log,
		guard:   guard,
		serving: map[bluegreen.Environment]*router.Pool{},
		preview: map[bluegreen.Environment]*router.Pool{},
		members: map[bluegreen.Environment]int{},
		drains:  map[bluegreen.Environment]*drainClock{},
		changed: make(chan struct{}),
	}
	for _, env := range bluegreen.Environments() {
		t.serving[env] = router.NewPool(env, metrics)
		t.preview[env] = router.NewPool(env, metrics)
	}
	return t
}

// follow points the doors where the ledger says, and reports whether the live
// one leads elsewhere than before.
func (t *traffic) follow(l bluegreen.Ledger, running map[bluegreen.Environment][]candidate, front *frontend, drainTimeout time.Duration) (switched bool) {
	live := bluegreen.Environment("")
	if l.IsServing() {
		live = l.Live
		// The new target is complete before traffic comes, and the old one stays
		// so until traffic has gone.
		t.fill(live, l, running)
	}
	if front.open() {
		front.live.lead(t.serving[live])
		front.preview.lead(t.previewOf(l))
	}
	former := t.live
	t.live = live
	for _, env := range bluegreen.Environments() {
		if env != live {
			t.fill(env, l, running)
		}
		t.preview[env].Set(backendsOf(running[env]))
	}
	if switched = former != live; switched {
		t.stopDrain(live)
		if former != "" {
			t.startDrain(former, drainTimeout)
		}
	}
	close(t.changed)
	t.changed = make(chan struct{})
	return switched
}

// fill gives env the replicas that run and that have passed their health check.
func (t *traffic) fill(env bluegreen.Environment, l bluegreen.Ledger, running map[bluegreen.Environment][]candidate) {
	passed := l.Slot(env).Passed
	var members []candidate
	for _, c := range running[env] {
		if CanReceiveTraffic(passed, c.ref) {
			members = append(members, c)
		}
	}
	t.members[env] = len(members)
	t.serving[env].Set(backendsOf(members))
}

func backendsOf(candidates []candidate) []router.Backend {
	list := make([]router.Backend, 0, len(candidates))
	for _, c := range candidates {
		list = append(list, c.Backend)
	}
	return list
}

// previewOf is the pool of the staging environment, nil while that is empty.
func (t *traffic) previewOf(l bluegreen.Ledger) *router.Pool {
	if l.Generation == 0 || l.Slot(l.Staging()).Release == nil {
		return nil
	}
	return t.preview[l.Staging()]
}

func (t *traffic) pools(env bluegreen.Environment) []*router.Pool {
	return []*router.Pool{t.serving[env], t.preview[env]}
}

// close cuts what is in flight.
func (t *traffic) close() {
	for _, env := range bluegreen.Environments() {
		t.stopDrain(env)
		for _, pool := range t.pools(env) {
			pool.Close()
		}
	}
}

// awaitTraffic returns when requests go to env and find a replica there.
func (d *deployment) awaitTraffic(ctx context.Context, env bluegreen.Environment) error {
	for {
		d.mu.Lock()
		live, members, open := d.traffic.live, d.traffic.members[env], d.front.open()
		changed := d.traffic.changed
		address := d.ledger.Current().Frontend.Address()
		d.mu.Unlock()
		if live != env {
			return fmt.Errorf("traffic does not go to %s: live is %q", env, live)
		}
		if open && members > 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if !open {
				return fmt.Errorf("nothing listens on %s yet, which something else has taken: %w", address, ctx.Err())
			}
			return fmt.Errorf("no replica of %s that passed its health check runs: %w", env, ctx.Err())
		}
	}
}
