// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
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
	if current.IsSame(next) {
		return e.scale(ctx, next.Replicas, drain)
	}
	if err := next.Write(e.dir); err != nil {
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
	if current == nil {
		return fmt.Errorf("cannot scale %s: nothing is deployed there", e.name)
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
		if err := next.Write(e.dir); err != nil {
			return err
		}
		current = &next
	}
	e.replace(current, kept)
	if err := e.stop(ctx, removed); err != nil {
		return err
	}
	return e.start(ctx)
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
	return r.Restart(ctx, incarnation)
}

// remove stops everything and forgets the workload.
func (e *environment) remove(ctx context.Context) error {
	if err := store.RemoveWorkload(e.dir); err != nil {
		return err
	}
	e.mu.Lock()
	e.external = store.ExternalReplicas{}
	e.mu.Unlock()
	e.draining = nil
	if err := e.stop(ctx, e.replace(nil, nil)); err != nil {
		return err
	}
	if err := os.RemoveAll(e.dir); err != nil {
		return fmt.Errorf("removing the environment: %w", err)
	}
	return nil
}

// replace makes w and replicas the ones that others see, and returns the former
// replicas.
func (e *environment) replace(w *store.Workload, replicas []*replica) (former []*replica) {
	e.mu.Lock()
	former = e.replicas
	e.workload, e.replicas = w, slices.Clone(replicas)
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
	for number := len(e.replicas) + 1; number <= e.workload.Replicas; number++ {
		e.replicas = append(e.replicas, e.newReplica(store.ReplicaID(e.name, number), nil))
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
