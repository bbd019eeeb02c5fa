// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
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
	images    *images.Store
	reserve   *durable.Reserve
	log       *slog.Logger
	name      bluegreen.Environment
	dir       string
	// changed is called after every change of what runs.
	changed func()

	mu       sync.Mutex
	workload *store.Workload
	// problem says why it is not known what should run here, nil if it is. What runs goes on.
	problem  error
	replicas []*replica // in the order of their numbers
	// external are the replicas that run outside of the agent; either there are these or
	// there is a workload.
	external store.ExternalReplicas
	// draining are the backends of replicas that were removed and may still have
	// requests in flight. The next change of the replicas waits for them.
	draining []string
	// stopping are waited for before others use their IDs.
	stopping []*replica
	// told are the sockets with which processes listen, as the present agent says in a former one.
	told map[router.Backend][]string
}

// replica is a process that the agent supervises.
type replica struct {
	*process.Supervisor
	id string
	// isWithdrawn replicas get no new traffic, because they are about to be stopped.
	isWithdrawn atomic.Bool
}

// write stores what should run here.
func (e *environment) write(w *store.Workload) error {
	return e.reserve.Use(func() error { return w.Write(e.dir) })
}

// problemOf returns why it is not known what should run here, nil if it is.
func (e *environment) problemOf() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.problem
}

// newReplica begins to supervise the replica called id, of which a former run may be left.
func (e *environment) newReplica(id string, former formerRun) *replica {
	dir, spec := store.ReplicaDir(e.dir, id), e.specOf(id, e.workload)
	return &replica{Supervisor: e.processes.Supervise(id, dir, spec, former.adopted, former.ended, e.changed), id: id}
}

// specOf is what the replica called id runs. What the agent says about the replica
// overrides what the release says.
func (e *environment) specOf(id string, w *store.Workload) process.Spec {
	variables := maps.Clone(w.Env)
	if variables == nil {
		variables = map[string]string{}
	}
	variables["BLUEGREEN_ENVIRONMENT"], variables["BLUEGREEN_VERSION"] = string(e.name), w.Version
	spec := process.Spec{Revision: w.Revision, Argv: w.Argv, Dir: w.Dir, Env: variables, Settings: w.Settings}
	// Without a range, and with one that cannot be read, it is that of the agent.
	spec.Ports, _ = process.ParsePortRange(w.Ports)
	if w.Dir == "" {
		replica := store.ReplicaDir(e.dir, id)
		spec.Dir = store.WorkDir(replica, w.Revision)
		spec.Argv = images.In(seenDir(spec), w.Argv)
		spec.MakeDir = func(ctx context.Context) error { return e.makeWorkDir(ctx, replica, w) }
	}
	return spec
}

// makeWorkDir makes the directory in which a replica works, if it is missing. What a replica has
// written there stays when it is started again, and is gone with its workload.
func (e *environment) makeWorkDir(ctx context.Context, replica string, w *store.Workload) error {
	former, err := store.FormerWorkDirs(replica, w.Revision)
	if err != nil {
		return err
	}
	for _, dir := range former {
		if err := durable.RemoveTree(ctx, dir); err != nil {
			return fmt.Errorf("removing the directory of an earlier release: %w", err)
		}
	}
	owner := images.Nobody
	if w.Settings.User != "" {
		user, err := process.LookUpUser(w.Settings.User, w.Settings.Group)
		if err != nil {
			return err
		}
		owner = images.Owner{UID: user.UID, GID: user.GID}
	}
	return e.images.MakeDirectory(ctx, w.Digest, store.WorkDir(replica, w.Revision), owner)
}

// seenDir is where a replica sees its working directory.
func seenDir(spec process.Spec) string {
	if spec.Settings.User != "" {
		return process.View
	}
	return spec.Dir
}

// withdraw takes the replica out of the traffic, or puts it back.
func (e *environment) withdraw(r *replica, isWithdrawn bool) {
	r.isWithdrawn.Store(isWithdrawn)
	e.changed()
}

// isEmpty reports whether nothing runs or should run here. What is still being ended counts.
func (e *environment) isEmpty() bool {
	return len(e.instances()) == 0 && e.externalReplicas().IsEmpty() && !e.isEnding()
}

// isEnding reports whether something that should not run still does.
func (e *environment) isEnding() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.ContainsFunc(e.stopping, func(r *replica) bool {
		select {
		case <-r.Ended():
			return false
		default:
			return true
		}
	})
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

// candidates are the replicas that may get traffic, once they listen. One that was started
// again since it passed its health check comes back by itself: it is the same release.
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
			Replica: frontend.Replica{
				Backend: backend, Ref: bluegreen.InstanceRef{ID: r.id}, Listeners: status.Listeners,
			},
			id: r.id, incarnation: status.Incarnation, isListening: status.IsListening,
			dial: func(ctx context.Context) (net.Conn, error) { return r.Dial(ctx, status.Incarnation) },
			exec: func(ctx context.Context, command []string) error { return e.exec(ctx, r.id, command) },
			restart: func() {
				// An error is in the log, and the process is tried again.
				go func() { _ = e.restartRun(context.Background(), r, status.Incarnation) }()
			},
		})
	}
	return list
}

// dial connects to a replica. If it is a process, nothing else that listens at its address will do.
func (e *environment) dial(ctx context.Context, b router.Backend) (net.Conn, error) {
	e.mu.Lock()
	i := slices.IndexFunc(e.replicas, func(r *replica) bool { return r.id == b.ID })
	var r *replica
	if i >= 0 {
		r = e.replicas[i]
	}
	isExternal := e.external.HasBackend(b.ID)
	e.mu.Unlock()
	if isExternal {
		return new(net.Dialer).DialContext(ctx, "tcp", b.Addr)
	}
	var status process.Status
	if r != nil {
		status = r.Status()
	}
	if e.processes.HasLetGo() {
		return e.dialAsFormer(ctx, b, status)
	}
	if status.Address() != b.Addr {
		return nil, fmt.Errorf("%s has been restarted or has ended", b.ID)
	}
	return r.Dial(ctx, status.Incarnation)
}

// look returns the replica called id, after a look at who listens on its port.
func (e *environment) look(id string) (process.Status, error) {
	e.mu.Lock()
	i := slices.IndexFunc(e.replicas, func(r *replica) bool { return r.id == id })
	if i < 0 {
		e.mu.Unlock()
		return process.Status{}, fmt.Errorf("there is no instance %q in %s", id, e.name)
	}
	r := e.replicas[i]
	e.mu.Unlock()
	return r.Look(), nil
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
	if w == nil {
		return fmt.Errorf("it is not known what runs in %s: %w", id, e.problemOf())
	}
	spec := e.specOf(id, w)
	executable, err := images.LookUp(spec.Dir, command[0])
	if err != nil {
		return err
	}
	spec.Argv = images.In(seenDir(spec), append([]string{executable}, command[1:]...))
	return process.Exec(ctx, command[0], spec, status)
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
