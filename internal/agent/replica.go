// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

const (
	// stopGrace is how long a replica may take to end after SIGTERM.
	stopGrace = 10 * time.Second
	// A replica that dies is started again after firstRestart, and after twice
	// that each time it dies again, up to lastRestart. One that has run for
	// stableRun begins anew.
	firstRestart = 500 * time.Millisecond
	lastRestart  = 30 * time.Second
	stableRun    = 10 * time.Second
)

// host is what replicas share.
type host struct {
	ports   *ports
	outputs *outputs
	log     *slog.Logger
	// inherited are the sockets of the agent before this one, nil for none.
	inherited *inheritance
}

// replica keeps one process of a workload running until it is stopped.
type replica struct {
	host
	id, dir  string
	env      bluegreen.Environment
	workload *store.Workload
	// changed is called after every start and exit; it must not wait for a replica.
	changed func()

	cancel context.CancelFunc
	// started is closed after the first attempt to start; startErr is its outcome.
	started  chan struct{}
	startErr error
	// stopped is closed when the process has ended for good.
	stopped chan struct{}

	mu     sync.Mutex
	status replicaStatus
}

// replicaStatus is a replica as others see it.
type replicaStatus struct {
	bluegreen.Instance
	port int
	// retired replicas get no new traffic, because they are about to be stopped.
	retired bool
}

// newReplica begins to keep a replica running, with adopted as its process if
// that is not nil.
func newReplica(h host, id, dir string, env bluegreen.Environment, w *store.Workload, adopted *process, changed func()) *replica {
	ctx, cancel := context.WithCancel(context.Background())
	r := &replica{
		host: h, id: id, dir: dir, env: env, workload: w, changed: changed,
		cancel: cancel, started: make(chan struct{}), stopped: make(chan struct{}),
		status: replicaStatus{Instance: bluegreen.Instance{ID: id}},
	}
	if adopted != nil {
		h.ports.claim(adopted.Port)
		r.note(adopted)
	}
	go r.supervise(ctx, adopted)
	return r
}

// supervise starts the process again whenever it has ended, until ctx ends.
func (r *replica) supervise(ctx context.Context, current *process) {
	defer close(r.stopped)
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.Multiplier, delays.MaxInterval = firstRestart, 2, lastRestart
	for first := true; ; first = false {
		begin := time.Now()
		if current == nil {
			current = r.start()
		}
		if first {
			close(r.started)
		}
		if current != nil {
			r.await(ctx, current)
			current = nil
		}
		if time.Since(begin) >= stableRun {
			delays.Reset()
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(delays.NextBackOff()):
		}
	}
}

// start starts the process on a new port. It returns nil if that fails.
func (r *replica) start() *process {
	p, err := r.tryStart()
	if err != nil {
		r.log.Error("replica cannot be started", "replica", r.id, "error", err)
		r.mu.Lock()
		r.startErr, r.status.Exit = err, err.Error()
		r.mu.Unlock()
		return nil
	}
	r.log.Info("replica started", "replica", r.id, "pid", p.PID, "port", p.Port)
	r.note(p)
	r.changed()
	return p
}

func (r *replica) tryStart() (_ *process, err error) {
	port, err := r.ports.take()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			r.ports.release(port)
		}
	}()
	if err := os.MkdirAll(r.dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the replica's directory: %w", err)
	}
	state := processState{Revision: r.workload.Revision, Incarnation: rand.Text(), Port: port}
	environ := environ(r.workload, r.env, port, state.Incarnation)
	return startProcess(r.dir, r.workload.Dir, r.workload.Argv, environ, state, r.outputs.file(r.logPath()))
}

// await returns when the process has ended, by itself or because ctx has.
func (r *replica) await(ctx context.Context, p *process) {
	select {
	case <-p.exited:
		r.log.Warn("replica exited", "replica", r.id, "pid", p.PID, "exit", p.exit)
	case <-ctx.Done():
		p.terminate(stopGrace)
		r.log.Info("replica stopped", "replica", r.id, "pid", p.PID)
	}
	r.ports.release(p.Port)
	r.mu.Lock()
	r.status.Running, r.status.Exit, r.status.port = false, p.exit, 0
	r.mu.Unlock()
	r.changed()
}

// note makes p the process that others see.
func (r *replica) note(p *process) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.startErr = nil
	r.status.Running, r.status.Exit = true, ""
	r.status.Incarnation, r.status.port = p.Incarnation, p.Port
}

// awaitStart returns the outcome of the first attempt to start.
func (r *replica) awaitStart(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.started:
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.startErr != nil {
		return fmt.Errorf("%s: %w", r.id, r.startErr)
	}
	return nil
}

// retire takes the replica out of the traffic, or lets it back in.
func (r *replica) retire(retired bool) {
	r.mu.Lock()
	r.status.retired = retired
	r.mu.Unlock()
	r.changed()
}

// stop ends the replica and removes what it left. The process ends even if ctx
// does before; then stop is called again to remove its files.
func (r *replica) stop(ctx context.Context) error {
	r.cancel()
	select {
	case <-ctx.Done():
		return fmt.Errorf("stopping %s: %w", r.id, ctx.Err())
	case <-r.stopped:
	}
	if err := r.outputs.file(r.logPath()).Close(); err != nil {
		return fmt.Errorf("closing the log of %s: %w", r.id, err)
	}
	if err := os.RemoveAll(r.dir); err != nil {
		return fmt.Errorf("removing %s: %w", r.id, err)
	}
	return nil
}

func (r *replica) state() replicaStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.status
}

func (r *replica) logPath() string { return filepath.Join(r.dir, outputFile) }
