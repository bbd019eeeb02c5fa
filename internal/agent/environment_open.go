// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"errors"
	"log/slog"
	"os"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/images"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// environmentFiles is what the files of an environment say.
type environmentFiles struct {
	workload  *store.Workload
	processes map[string]process.State // by the ID of the replica
	external  store.ExternalReplicas
	// problem says why the workload is not known.
	problem error
}

// readEnvironment reads the files of the environment at dir and changes nothing. What the file of
// a process would say is found with the process if the file cannot be read. Without the file of
// the workload, what runs goes on. That of the external replicas does not matter beside a workload.
func readEnvironment(dir string, log *slog.Logger) (environmentFiles, error) {
	workload, problem := store.ReadWorkload(dir)
	external, err := store.ReadExternalReplicas(dir)
	_, isNewer := errors.AsType[*durable.NewerError](err)
	switch {
	case err != nil && workload != nil:
		log.Error("the file of external replicas is not used: the replicas are processes", "error", err)
	case isNewer:
		return environmentFiles{}, err
	case err != nil:
		problem = errors.Join(problem, err)
	}
	files := environmentFiles{workload, map[string]process.State{}, external, problem}
	entries, err := os.ReadDir(store.ReplicasDir(dir))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return environmentFiles{}, err
	}
	for _, entry := range entries {
		state, err := process.FindState(store.ReplicaDir(dir, entry.Name()))
		if err != nil {
			log.Error("the file of a process cannot be used",
				"replica", entry.Name(), "is_found", state != nil, "error", err)
		}
		if state != nil {
			files.processes[entry.Name()] = *state
		}
	}
	return files, nil
}

// formerRun is what the agent before has left of a replica.
type formerRun struct {
	// adopted is its process, nil if it does not run any more.
	adopted *process.Process
	// ended, if not nil, is closed when the last of it has ended.
	ended <-chan struct{}
}

// newEnvironment makes the environment run what its files say: replicas that still
// run are adopted, missing ones are started, and orphans are stopped. It waits for none of these.
func newEnvironment(
	manager *process.Manager, copies *images.Store, reserve *durable.Reserve, log *slog.Logger,
	name bluegreen.Environment, dir string, files environmentFiles, changed func(),
) *environment {
	e := &environment{
		processes: manager, images: copies, reserve: reserve, log: log, name: name, dir: dir, changed: changed,
		workload: files.workload, external: files.external, problem: files.problem,
	}
	if e.problem != nil {
		log.Error("what runs goes on, and is not started again: it is not known what should run",
			"environment", name, "error", e.problem)
	}
	found := map[string]formerRun{}
	for id, state := range files.processes {
		p, ended, err := manager.Adopt(store.ReplicaDir(dir, id), state)
		if err != nil {
			log.Error("replica cannot be adopted and is started again", "replica", id, "error", err)
		}
		if p != nil {
			copies.KeepDirectory(store.WorkDir(store.ReplicaDir(dir, id), p.Revision))
		}
		found[id] = formerRun{p, ended}
	}
	if e.problem != nil {
		e.keep(files, found)
		return e
	}
	e.endOrphans(found)
	if files.workload == nil {
		return e
	}
	for number := 1; number <= files.workload.Replicas; number++ {
		id := store.ReplicaID(name, number)
		if p := found[id].adopted; p != nil {
			log.Info("replica adopted", "replica", id, "pid", p.PID, "port", p.Port)
		}
		e.replicas = append(e.replicas, e.newReplica(id, found[id]))
	}
	return e
}

// keep supervises what runs although it is not known what should run.
func (e *environment) keep(files environmentFiles, found map[string]formerRun) {
	spec := process.Spec{Problem: e.problem}
	for id := range files.processes {
		if id != store.ReplicaID(e.name, store.ReplicaNumber(id)) {
			continue
		}
		dir := store.ReplicaDir(e.dir, id)
		e.replicas = append(e.replicas, &replica{
			id: id, Supervisor: e.processes.Supervise(id, dir, spec, found[id].adopted, found[id].ended, e.changed),
		})
	}
	slices.SortFunc(e.replicas, func(a, b *replica) int {
		return store.ReplicaNumber(a.id) - store.ReplicaNumber(b.id)
	})
}

// endOrphans ends the processes that are not part of the workload, which an agent that was
// killed could not end. Each is stopped as its own release says. It waits for none of them. The
// replicas that have their IDs are started afterwards.
func (e *environment) endOrphans(found map[string]formerRun) {
	for id, run := range found {
		number, w := store.ReplicaNumber(id), e.workload
		isPart := w != nil && number >= 1 && number <= w.Replicas
		if run.adopted == nil || isPart && run.adopted.Revision == w.Revision {
			continue
		}
		e.log.Info("stopping a replica that should not run", "replica", id, "pid", run.adopted.PID)
		orphan := &replica{id: id, Supervisor: e.processes.Supervise(
			id, store.ReplicaDir(e.dir, id), process.Spec{}, run.adopted, nil, func() {})}
		orphan.End()
		found[id] = formerRun{ended: orphan.Ended()}
		if !isPart {
			e.stopping = append(e.stopping, orphan)
		}
	}
}
