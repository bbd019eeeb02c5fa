// SPDX-License-Identifier: MPL-2.0

package frontend

import (
	"context"
	"fmt"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// Replica is a replica that may get traffic.
type Replica struct {
	router.Backend
	// Ref must have passed; see store.CanReceiveTraffic.
	Ref bluegreen.InstanceRef
	// IsUnhealthy replicas get no requests, unless most of their environment are.
	IsUnhealthy bool
	// Listeners identify the sockets with which a process listens; see process.Status. There are
	// none for an external replica.
	Listeners []string `json:",omitempty"`
}

// routes says, from the ledger and the replicas that run, which of them get requests.
//
// Every environment has two pools, one for each listener group, so that clients of
// the preview do not delay the draining of the live environment.
type routes struct {
	// live is the environment that requests go to, "" for none.
	live    bluegreen.Environment
	serving map[bluegreen.Environment]*router.Pool
	preview map[bluegreen.Environment]*router.Pool
	// members counts the replicas in the serving pools.
	members map[bluegreen.Environment]int
	// isMostlyUnhealthy says of an environment that its unhealthy replicas get requests.
	isMostlyUnhealthy map[bluegreen.Environment]bool
	// drains are those of environments that were live.
	drains map[bluegreen.Environment]*drain
	// changed is closed when any of this changes.
	changed chan struct{}
}

func newRoutes(metrics *router.Metrics, report FailureReport) routes {
	r := routes{
		serving:           map[bluegreen.Environment]*router.Pool{},
		preview:           map[bluegreen.Environment]*router.Pool{},
		members:           map[bluegreen.Environment]int{},
		isMostlyUnhealthy: map[bluegreen.Environment]bool{},
		drains:            map[bluegreen.Environment]*drain{},
		changed:           make(chan struct{}),
	}
	for _, env := range bluegreen.Environments() {
		r.serving[env] = router.NewPool(env, metrics)
		r.preview[env] = router.NewPool(env, metrics)
		for _, pool := range r.pools(env) {
			pool.OnFailure(func(b router.Backend, inARow int, cause error) { report(env, b, inARow, cause) })
		}
	}
	return r
}

// Route sends requests where the ledger says, and reports whether live is another
// environment than before.
func (f *Frontend) Route(l bluegreen.Ledger, replicas map[bluegreen.Environment][]Replica) (switched bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.route(l, replicas)
}

func (f *Frontend) route(l bluegreen.Ledger, replicas map[bluegreen.Environment][]Replica) (switched bool) {
	r := &f.routes
	for _, env := range bluegreen.Environments() {
		if release := l.Slot(env).Release; release != nil {
			for _, pool := range r.pools(env) {
				pool.SetVersion(release.Version)
			}
		}
	}
	live := bluegreen.Environment("")
	if l.IsServing() {
		live = l.Live
		// The new pool is complete before traffic comes, and the old one stays so
		// until traffic has gone.
		f.fill(live, l, replicas)
	}
	f.live.switchTo(r.serving[live])
	f.preview.switchTo(r.previewOf(l))
	former := r.live
	r.live = live
	for _, env := range bluegreen.Environments() {
		if env != live {
			f.fill(env, l, replicas)
		}
		inPreview, _ := withoutUnhealthy(replicas[env])
		r.preview[env].Set(backendsOf(inPreview))
	}
	if switched = former != live; switched {
		f.stopDrain(live)
		if former != "" {
			f.startDrain(former)
		}
	}
	close(r.changed)
	r.changed = make(chan struct{})
	return switched
}

// Live is the environment that requests go to, "" for none.
func (f *Frontend) Live() bluegreen.Environment {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.routes.live
}

// fill gives env the replicas that run, that have passed their health check, and that
// are healthy now.
func (f *Frontend) fill(env bluegreen.Environment, l bluegreen.Ledger, replicas map[bluegreen.Environment][]Replica) {
	r, passed := &f.routes, l.Slot(env).Passed
	var members []Replica
	for _, replica := range replicas[env] {
		if store.CanReceiveTraffic(passed, replica.Ref) {
			members = append(members, replica)
		}
	}
	members, isMostlyUnhealthy := withoutUnhealthy(members)
	if r.isMostlyUnhealthy[env] != isMostlyUnhealthy {
		r.isMostlyUnhealthy[env] = isMostlyUnhealthy
		message := "at least half of the replicas are healthy again, and only those get requests"
		if isMostlyUnhealthy {
			message = "more than half of the replicas are unhealthy, so all of them get requests"
		}
		f.log.Warn(message, "environment", env)
	}
	r.members[env] = len(members)
	r.serving[env].Set(backendsOf(members))
}

// withoutUnhealthy returns the replicas that get requests: the healthy ones. If more than
// half are unhealthy, the health check or something that all of them depend on is at
// fault, and the few that are left could not serve all clients: then all get requests.
func withoutUnhealthy(replicas []Replica) (serving []Replica, isMostlyUnhealthy bool) {
	healthy := slices.DeleteFunc(slices.Clone(replicas), func(replica Replica) bool { return replica.IsUnhealthy })
	if 2*len(healthy) < len(replicas) {
		return replicas, true
	}
	return healthy, false
}

func backendsOf(replicas []Replica) []router.Backend {
	list := make([]router.Backend, 0, len(replicas))
	for _, replica := range replicas {
		list = append(list, replica.Backend)
	}
	return list
}

// previewOf is the pool of the staging environment, nil while that is empty.
func (r *routes) previewOf(l bluegreen.Ledger) *router.Pool {
	if l.Generation == 0 || l.Slot(l.Staging()).Release == nil {
		return nil
	}
	return r.preview[l.Staging()]
}

// pools are both pools of env.
func (r *routes) pools(env bluegreen.Environment) []*router.Pool {
	return []*router.Pool{r.serving[env], r.preview[env]}
}

// closePools closes what is in flight.
func (f *Frontend) closePools() {
	for _, env := range bluegreen.Environments() {
		f.stopDrain(env)
		for _, pool := range f.routes.pools(env) {
			pool.Close()
		}
	}
}

// AwaitTraffic returns when requests go to env and a replica there gets them.
func (f *Frontend) AwaitTraffic(ctx context.Context, env bluegreen.Environment) error {
	for {
		f.mu.Lock()
		live, members, isOpen := f.routes.live, f.routes.members[env], f.isOpen()
		changed, address := f.routes.changed, f.binding.Address()
		f.mu.Unlock()
		if live != env {
			return fmt.Errorf("traffic does not go to %s: the live environment is %q", env, live)
		}
		if isOpen && members > 0 {
			return nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			if !isOpen {
				return fmt.Errorf("cannot listen on %s yet: another program uses this address: %w", address, ctx.Err())
			}
			return fmt.Errorf("no replica of %s that passed its health check is running: %w", env, ctx.Err())
		}
	}
}
