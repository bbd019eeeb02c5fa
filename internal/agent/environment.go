// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/frontend"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/images"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// environment runs the workload of one environment of a deployment. Its methods
// that change it are called by one goroutine at a time; the others are safe for
// concurrent use.
type environment struct {
	processes *process.Manager
	log       *slog.Logger
	name      bluegreen.Environment
	dir       string
	// changed is called after every change of what runs.
	changed func()

	mu       sync.Mutex
	workload *store.Workload
	replicas []*replica // in the order of their numbers
	// external are the replicas that run outside of the agent; either there are these or
	// there is a workload.
	external store.ExternalReplicas
	// draining are the backends of replicas that were removed and may still have
	// requests in flight. The next change of the replicas waits for them.
	draining []string
	// stopping are waited for before others use their IDs.
	stopping []*replica
}

// replica is a process that the agent supervises.
type replica struct {
	*process.Supervisor
	id string
	// isWithdrawn replicas get no new traffic, because they are about to be stopped.
	isWithdrawn atomic.Bool
}

// environmentFiles is what the files of an environment say.
type environmentFiles struct {
	workload  *store.Workload
	processes map[string]process.State // by the ID of the replica
	external  store.ExternalReplicas
}

// readEnvironment reads the files of the environment at dir and changes nothing.
func readEnvironment(dir string) (environmentFiles, error) {
	workload, err := store.ReadWorkload(dir)
	if err != nil {
		return environmentFiles{}, err
	}
	external, err := store.ReadExternalReplicas(dir)
	if err != nil {
		return environmentFiles{}, err
	}
	files := environmentFiles{workload, map[string]process.State{}, external}
	entries, err := os.ReadDir(store.ReplicasDir(dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return environmentFiles{}, err
	}
	for _, entry := range entries {
		state, err := process.ReadState(store.ReplicaDir(dir, entry.Name()))
		if err != nil {
			return environmentFiles{}, err
		}
		if state != nil {
			files.processes[entry.Name()] = *state
		}
	}
	return files, nil
}

// newEnvironment makes the environment run what its files say: replicas that still
// run are adopted, missing ones are started, and orphans are stopped.
func newEnvironment(
	manager *process.Manager, log *slog.Logger, name bluegreen.Environment, dir string, files environmentFiles,
	changed func(),
) *environment {
	e := &environment{
		processes: manager, log: log, name: name, dir: dir, changed: changed,
		workload: files.workload, external: files.external,
	}
	processes := map[string]*process.Process{}
	for id, state := range files.processes {
		p, err := manager.Adopt(store.ReplicaDir(dir, id), state)
		if err != nil {
			log.Error("replica cannot be adopted and is started again", "replica", id, "error", err)
		} else if p != nil {
			processes[id] = p
		}
	}
	e.stopOrphans(processes)
	if files.workload == nil {
		return e
	}
	for number := 1; number <= files.workload.Replicas; number++ {
		id := store.ReplicaID(name, number)
		if p := processes[id]; p != nil {
			log.Info("replica adopted", "replica", id, "pid", p.PID, "port", p.Port)
		}
		e.replicas = append(e.replicas, e.newReplica(id, processes[id]))
	}
	return e
}

// stopOrphans stops the processes that are not part of the workload, which an
// agent that was killed could not stop, and takes them out of processes.
func (e *environment) stopOrphans(processes map[string]*process.Process) {
	var group sync.WaitGroup
	for id, p := range processes {
		number, w := store.ReplicaNumber(id), e.workload
		if w != nil && number >= 1 && number <= w.Replicas && p.Revision == w.Revision {
			continue
		}
		e.log.Info("stopping a replica that should not run", "replica", id, "pid", p.PID)
		delete(processes, id)
		group.Go(func() { p.Terminate(process.StopGrace) })
	}
	group.Wait()
}

// newReplica begins to supervise the replica called id, with adopted as its
// process if that is not nil.
func (e *environment) newReplica(id string, adopted *process.Process) *replica {
	dir := store.ReplicaDir(e.dir, id)
	return &replica{Supervisor: e.processes.Supervise(id, dir, specOf(e.name, e.workload), adopted, e.changed), id: id}
}

// specOf is what a replica of w runs. What the agent says about the replica
// overrides what the release says.
func specOf(env bluegreen.Environment, w *store.Workload) process.Spec {
	variables := maps.Clone(w.Env)
	if variables == nil {
		variables = map[string]string{}
	}
	variables["BLUEGREEN_ENVIRONMENT"], variables["BLUEGREEN_VERSION"] = string(env), w.Version
	return process.Spec{Revision: w.Revision, Argv: w.Argv, Dir: w.Dir, Env: variables}
}

// withdraw takes the replica out of the traffic, or puts it back.
func (e *environment) withdraw(r *replica, isWithdrawn bool) {
	r.isWithdrawn.Store(isWithdrawn)
	e.changed()
}

// isEmpty reports whether nothing runs or should run here.
func (e *environment) isEmpty() bool {
	return len(e.instances()) == 0 && e.externalReplicas().IsEmpty()
}

// instances lists the replicas that the agent supervises, whether they run or not.
func (e *environment) instances() []process.Status {
	e.mu.Lock()
	defer e.mu.Unlock()
	list := make([]process.Status, 0, len(e.replicas))
	for _, r := range e.replicas {
		list = append(list, r.Status())
	}
	slices.SortFunc(list, func(a, b process.Status) int { return strings.Compare(a.ID, b.ID) })
	return list
}

// candidates are the replicas that may get traffic. One that was started again
// since it passed its health check comes back by itself: it is the same release.
func (e *environment) candidates() []candidate {
	list := externalCandidates(e.externalReplicas())
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range e.replicas {
		status := r.Status()
		if r.isWithdrawn.Load() || !status.IsRunning {
			continue
		}
		backend := router.Backend{ID: r.id, Addr: status.Address()}
		list = append(list, candidate{
			Replica: frontend.Replica{Backend: backend, Ref: bluegreen.InstanceRef{ID: r.id}},
			id:      r.id, incarnation: status.Incarnation,
			exec: func(ctx context.Context, command []string) error { return e.exec(ctx, r.id, command) },
			restart: func() {
				// An error is in the log, and the process is tried again.
				go func() { _ = r.Restart(context.Background(), status.Incarnation) }()
			},
		})
	}
	return list
}

// exec runs a command with the directory and the variables of the replica called id.
func (e *environment) exec(ctx context.Context, id string, command []string) error {
	status, w, err := e.find(id)
	if err != nil {
		return err
	}
	if !status.IsRunning {
		return fmt.Errorf("%s is not running", id)
	}
	executable, err := images.LookUp(w.Dir, command[0])
	if err != nil {
		return err
	}
	argv := append([]string{executable}, command[1:]...)
	environ := specOf(e.name, w).Environ(status.Port, status.Incarnation)
	return process.Exec(ctx, w.Dir, command[0], argv, environ)
}

// find returns the replica called id and what it runs.
func (e *environment) find(id string) (process.Status, *store.Workload, error) {
	list := e.instances()
	e.mu.Lock()
	w := e.workload
	e.mu.Unlock()
	for _, r := range list {
		if r.ID == id {
			return r, w, nil
		}
	}
	return process.Status{}, nil, fmt.Errorf("there is no instance %q in %s", id, e.name)
}
