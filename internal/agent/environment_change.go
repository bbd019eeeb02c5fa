// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// drainBackend waits until nothing is in flight any more on the backend with this ID.
type drainBackend func(ctx context.Context, id string) error

// provision makes the environment run exactly next. It returns when every
// replica has been started once.
func (e *environment) provision(ctx context.Context, next *store.Workload, drain drainBackend) error {
	e.mu.Lock()
	current := e.workload
	e.mu.Unlock()
	if !e.externalReplicas().IsEmpty() {
		return fmt.Errorf("%w: %s has external replicas; the agent does not start processes as well",
			api.ErrInvalid, e.name)
	}
	if e.takeUp(next) {
		if err := e.write(next); err != nil {
			return err
		}
		return e.scale(ctx, next.Replicas, drain)
	}
	if current.IsSame(next) {
		return e.scale(ctx, next.Replicas, drain)
	}
	if err := e.write(next); err != nil {
		return err
	}
	if err := e.stop(ctx, e.replace(next, nil)); err != nil {
		return err
	}
	return e.start(ctx)
}

// scale makes the environment run its workload at another size, and starts what
// is missing. Replicas that are removed get no new traffic, finish their requests,
// and are then stopped.
func (e *environment) scale(ctx context.Context, size int, drain drainBackend) error {
	e.mu.Lock()
	current, replicas := e.workload, e.replicas
	e.mu.Unlock()
	if problem := e.problemOf(); problem != nil {
		return fmt.Errorf("cannot scale %s: %w: %w", e.name, bluegreen.ErrNotProvisioned, problem)
	}
	if current == nil {
		return fmt.Errorf("cannot scale %s: %w: nothing is deployed there", e.name, bluegreen.ErrNotProvisioned)
	}
	kept := replicas[:min(size, len(replicas))]
	removed := replicas[len(kept):]
	for i, r := range replicas {
		// An interrupted scale may have withdrawn one that is now kept.
		e.withdraw(r, i >= len(kept))
	}
	if err := forEach(removed, func(r *replica) error { return drain(ctx, r.id) }); err != nil {
		return err
	}
	if size != current.Replicas {
		next := *current
		next.Replicas = size
		if err := e.write(&next); err != nil {
			return err
		}
		current = &next
	}
	e.replace(current, kept)
	if err := e.stop(ctx, removed); err != nil {
		return err
	}
	if err := e.start(ctx); err != nil {
		return err
	}
	e.awaitListening(ctx)
	return nil
}

// listenPatience is how long a scale waits until its replicas listen. Those of the standby are
// not checked otherwise, and count as ready once they listen.
const listenPatience = 5 * time.Second

// awaitListening returns once all replicas listen, or after listenPatience: not every program
// listens, and some take long.
func (e *environment) awaitListening(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, listenPatience)
	defer cancel()
	e.mu.Lock()
	replicas := slices.Clone(e.replicas)
	e.mu.Unlock()
	_ = forEach(replicas, func(r *replica) error { return r.AwaitListening(ctx) })
}

// restart ends this run of a replica, whose requests finish first, and starts it again.
func (e *environment) restart(ctx context.Context, id, incarnation string, drain drainBackend) error {
	e.mu.Lock()
	i := slices.IndexFunc(e.replicas, func(r *replica) bool { return r.id == id })
	if i < 0 {
		e.mu.Unlock()
		return fmt.Errorf("there is no instance %q in %s", id, e.name)
	}
	r := e.replicas[i]
	e.mu.Unlock()
	if r.Status().Incarnation != incarnation {
		return nil
	}
	e.withdraw(r, true)
	defer e.withdraw(r, false)
	if err := drain(ctx, id); err != nil {
		return err
	}
	return e.restartRun(ctx, r, incarnation)
}

// restartRun ends this run of a replica and starts it again, if it can be started.
func (e *environment) restartRun(ctx context.Context, r *replica, incarnation string) error {
	if problem := e.problemOf(); problem != nil {
		return fmt.Errorf("%s runs on, because it could not be started again: %w", r.id, problem)
	}
	return r.Restart(ctx, incarnation)
}

// takeUp makes next the workload that was not known, if its release is what runs here, and reports
// whether it is.
func (e *environment) takeUp(next *store.Workload) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.problem == nil || len(e.replicas) == 0 {
		return false
	}
	revision := process.RevisionOf(e.replicas[0].Status().Incarnation)
	for i, r := range e.replicas {
		if process.RevisionOf(r.Status().Incarnation) != revision || r.id != store.ReplicaID(e.name, i+1) {
			return false
		}
	}
	if !next.IsOf(revision) {
		return false
	}
	next.Revision = revision
	for _, r := range e.replicas {
		r.Respecify(e.specOf(r.id, next))
	}
	e.workload, e.problem = next, nil
	return true
}

// remove stops everything and forgets the workload.
func (e *environment) remove(ctx context.Context) error {
	if err := store.RemoveWorkload(e.dir); err != nil {
		return err
	}
	e.mu.Lock()
	e.external, e.problem = store.ExternalReplicas{}, nil
	e.mu.Unlock()
	e.draining = nil
	if err := e.stop(ctx, e.replace(nil, nil)); err != nil {
		return err
	}
	if err := durable.RemoveTree(ctx, e.dir); err != nil {
		return fmt.Errorf("removing the environment: %w", err)
	}
	return nil
}

// replace makes w and replicas the ones that others see, and returns the former
// replicas.
func (e *environment) replace(w *store.Workload, replicas []*replica) (former []*replica) {
	e.mu.Lock()
	former = e.replicas
	e.workload, e.problem, e.replicas = w, nil, slices.Clone(replicas)
	e.mu.Unlock()
	e.changed()
	return former
}

// stop stops replicas, and waits for those that an earlier, interrupted stop left.
func (e *environment) stop(ctx context.Context, replicas []*replica) error {
	e.mu.Lock()
	e.stopping = append(e.stopping, replicas...)
	stopping := slices.Clone(e.stopping)
	e.mu.Unlock()
	if err := forEach(stopping, func(r *replica) error { return r.Stop(ctx) }); err != nil {
		return err
	}
	e.mu.Lock()
	e.stopping = nil
	e.mu.Unlock()
	return nil
}

// start starts the replicas of the workload that are missing.
func (e *environment) start(ctx context.Context) error {
	e.mu.Lock()
	first, last := len(e.replicas)+1, e.workload.Replicas
	e.mu.Unlock()
	for number := first; number <= last; number++ {
		// An agent that was killed while it removed a replica has left a part of its directory.
		dir := store.ReplicaDir(e.dir, store.ReplicaID(e.name, number))
		if err := durable.RemoveTree(ctx, dir); err != nil {
			return fmt.Errorf("removing what is left of a replica: %w", err)
		}
	}
	e.mu.Lock()
	for number := first; number <= last; number++ {
		e.replicas = append(e.replicas, e.newReplica(store.ReplicaID(e.name, number), formerRun{}))
	}
	replicas := slices.Clone(e.replicas)
	e.mu.Unlock()
	return forEach(replicas, func(r *replica) error { return r.AwaitStart(ctx) })
}

// forEach calls do for all of them at the same time and returns all errors.
func forEach[T any](all []T, do func(T) error) error {
	failures := make([]error, len(all))
	var group sync.WaitGroup
	for i, one := range all {
		group.Go(func() { failures[i] = do(one) })
	}
	group.Wait()
	return errors.Join(failures...)
}
