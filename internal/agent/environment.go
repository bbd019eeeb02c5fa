// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// environment runs the workload of one environment of a deployment. What changes
// it is called by one goroutine at a time; the rest is safe for concurrent use.
type environment struct {
	host
	name    bluegreen.Environment
	dir     string
	changed func()

	mu       sync.Mutex
	workload *store.Workload
	replicas []*replica // in the order of their numbers
	// external are the replicas that something else runs; either there are these or
	// there is a workload.
	external store.ExternalReplicas
	// departing are the backends of targets that are gone and may still have
	// something in flight. Whoever changes the targets waits for them.
	departing []string
	// leaving are being stopped. They are waited for before their places are
	// used again.
	leaving []*replica
}

// quiesce returns when nothing is in flight on the replica called id any more.
type quiesce func(ctx context.Context, id string) error

// found is what the files of an environment say.
type found struct {
	workload  *store.Workload
	processes map[string]processState // by the ID of the replica
	external  store.ExternalReplicas
}

// readEnvironment reads the files of the environment at dir and changes nothing.
func readEnvironment(dir string) (found, error) {
	w, err := store.ReadWorkload(dir)
	if err != nil {
		return found{}, err
	}
	others, err := store.ReadExternalReplicas(dir)
	if err != nil {
		return found{}, err
	}
	f := found{w, map[string]processState{}, others}
	entries, err := os.ReadDir(store.ReplicaDir(dir, ""))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return found{}, err
	}
	for _, entry := range entries {
		state, err := readProcess(store.ReplicaDir(dir, entry.Name()))
		if err != nil {
			return found{}, err
		}
		if state != nil {
			f.processes[entry.Name()] = *state
		}
	}
	return f, nil
}

// newEnvironment makes true what the files in dir say: replicas that still run
// are adopted, others are started, and what should not run is stopped.
func newEnvironment(h host, name bluegreen.Environment, dir string, files found, changed func()) *environment {
	e := &environment{host: h, name: name, dir: dir, changed: changed, workload: files.workload, external: files.external}
	processes := map[string]*process{}
	for id, state := range files.processes {
		replica := store.ReplicaDir(dir, id)
		p, err := adoptProcess(replica, state, e.outputs.file(filepath.Join(replica, outputFile)))
		if err != nil {
			h.log.Error("replica cannot be adopted and is started again", "replica", id, "error", err)
		} else if p != nil {
			processes[id] = p
		}
	}
	e.endStrays(processes)
	if files.workload == nil {
		return e
	}
	for number := 1; number <= files.workload.Replicas; number++ {
		id := store.ReplicaID(e.name, number)
		if p := processes[id]; p != nil {
			h.log.Info("replica adopted", "replica", id, "pid", p.PID, "port", p.Port)
		}
		e.replicas = append(e.replicas, e.newReplica(id, processes[id]))
	}
	return e
}

// endStrays ends the processes that the workload does not want, which an agent
// that was killed had no time for, and takes them out of processes.
func (e *environment) endStrays(processes map[string]*process) {
	var group sync.WaitGroup
	for id, p := range processes {
		number, w := store.ReplicaNumber(id), e.workload
		if w != nil && number >= 1 && number <= w.Replicas && p.Revision == w.Revision {
			continue
		}
		e.log.Info("stopping a replica that should not run", "replica", id, "pid", p.PID)
		delete(processes, id)
		group.Go(func() { p.terminate(stopGrace) })
	}
	group.Wait()
}

// provision makes the environment run exactly next. It returns when every
// replica has been started once.
func (e *environment) provision(ctx context.Context, next *store.Workload, quiesce quiesce) error {
	e.mu.Lock()
	current := e.workload
	e.mu.Unlock()
	if !e.externalReplicas().IsEmpty() {
		return fmt.Errorf("%w: something else than the agent runs the replicas of %s", errInvalid, e.name)
	}
	if current.IsSame(next) {
		return e.scale(ctx, next.Replicas, quiesce)
	}
	if err := next.Write(e.dir); err != nil {
		return err
	}
	if err := e.stop(ctx, e.swap(next, nil)); err != nil {
		return err
	}
	return e.start(ctx)
}

// scale makes the environment run its workload at another size, and starts what
// is missing. Replicas that go get no new traffic, are quiesced, and then stopped.
func (e *environment) scale(ctx context.Context, size int, quiesce quiesce) error {
	e.mu.Lock()
	current, replicas := e.workload, e.replicas
	e.mu.Unlock()
	if current == nil {
		return fmt.Errorf("nothing was provisioned in %s that could be scaled", e.name)
	}
	stay := replicas[:min(size, len(replicas))]
	leave := replicas[len(stay):]
	for i, r := range replicas {
		// An interrupted scale may have taken out one that now stays.
		r.retire(i >= len(stay))
	}
	if err := each(leave, func(r *replica) error { return quiesce(ctx, r.id) }); err != nil {
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
	e.swap(current, stay)
	if err := e.stop(ctx, leave); err != nil {
		return err
	}
	return e.start(ctx)
}

// remove stops everything and forgets the workload.
func (e *environment) remove(ctx context.Context) error {
	if err := store.RemoveWorkload(e.dir); err != nil {
		return err
	}
	e.mu.Lock()
	e.external = store.ExternalReplicas{}
	e.mu.Unlock()
	e.departing = nil
	if err := e.stop(ctx, e.swap(nil, nil)); err != nil {
		return err
	}
	if err := os.RemoveAll(e.dir); err != nil {
		return fmt.Errorf("removing the environment: %w", err)
	}
	return nil
}

// empty reports whether nothing runs or should run here.
func (e *environment) empty() bool { return len(e.instances()) == 0 && e.externalReplicas().IsEmpty() }

// swap makes w and replicas the ones that others see, and returns the former replicas.
func (e *environment) swap(w *store.Workload, replicas []*replica) (former []*replica) {
	e.mu.Lock()
	former = e.replicas
	e.workload, e.replicas = w, slices.Clone(replicas)
	e.mu.Unlock()
	e.changed()
	return former
}

// stop stops replicas, and waits for those that an earlier stop did not see end.
func (e *environment) stop(ctx context.Context, replicas []*replica) error {
	e.mu.Lock()
	e.leaving = append(e.leaving, replicas...)
	leaving := slices.Clone(e.leaving)
	e.mu.Unlock()
	if err := each(leaving, func(r *replica) error { return r.stop(ctx) }); err != nil {
		return err
	}
	e.mu.Lock()
	e.leaving = nil
	e.mu.Unlock()
	return nil
}

// start starts the replicas that the workload wants and that are not there.
func (e *environment) start(ctx context.Context) error {
	e.mu.Lock()
	for number := len(e.replicas) + 1; number <= e.workload.Replicas; number++ {
		e.replicas = append(e.replicas, e.newReplica(store.ReplicaID(e.name, number), nil))
	}
	replicas := slices.Clone(e.replicas)
	e.mu.Unlock()
	return each(replicas, func(r *replica) error { return r.awaitStart(ctx) })
}

func (e *environment) newReplica(id string, adopted *process) *replica {
	return newReplica(e.host, id, store.ReplicaDir(e.dir, id), e.name, e.workload, adopted, e.changed)
}

// instances lists the replicas, whether they run or not.
func (e *environment) instances() []replicaStatus {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]replicaStatus, 0, len(e.replicas))
	for _, r := range e.replicas {
		list = append(list, r.state())
	}
	slices.SortFunc(list, func(a, b replicaStatus) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// candidates are the replicas that may get traffic. A process that was started
// again since it passed comes back by itself: it is the same release.
func (e *environment) candidates() []candidate {
	list := externalCandidates(e.externalReplicas())
	for _, r := range e.instances() {
		if r.Running && !r.retired {
			list = append(list, candidate{router.Backend{ID: r.ID, Addr: loopback(r.port)}, bluegreen.InstanceRef{ID: r.ID}})
		}
	}
	return list
}

// find returns the replica called id and what it runs.
func (e *environment) find(id string) (replicaStatus, *store.Workload, error) {
	list := e.instances()
	e.mu.Lock()
	w := e.workload
	e.mu.Unlock()
	for _, r := range list {
		if r.ID == id {
			return r, w, nil
		}
	}
	return replicaStatus{}, nil, fmt.Errorf("there is no instance %q in %s", id, e.name)
}

// each calls do for all of them at once and returns what went wrong.
func each[T any](all []T, do func(T) error) error {
	failures := make([]error, len(all))
	var group sync.WaitGroup
	for i, one := range all {
		group.Go(func() { failures[i] = do(one) })
	}
	group.Wait()
	return errors.Join(failures...)
}
