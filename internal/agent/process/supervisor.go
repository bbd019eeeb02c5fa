// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
)

const (
	// StopGrace is how long a replica may take to end after SIGTERM.
	StopGrace = 10 * time.Second
	// killGrace is how long a process may take to end after SIGKILL. One that takes longer
	// is held by the system.
	killGrace = 10 * time.Second
	// A replica that dies is started again after firstRestart, and after twice
	// that each time it dies again, up to lastRestart. One that has run for
	// stableRun begins anew.
	firstRestart = 500 * time.Millisecond
	lastRestart  = 30 * time.Second
	stableRun    = 10 * time.Second
)

// Spec is what a supervisor runs.
type Spec struct {
	// Revision identifies the spec: an adopted process of another one is not kept.
	Revision string
	Argv     []string
	// Dir is the directory in which it runs.
	Dir string
	// Env are the variables of the release. PORT and HOST say where to listen.
	Env map[string]string
}

// Status is a replica at one moment.
type Status struct {
	ID string
	// Incarnation identifies the run, the last one while it does not run.
	Incarnation string
	IsRunning   bool
	// Exit says how the last run ended, "" while it runs.
	Exit string
	// Port is where it listens, 0 while it does not run.
	Port int
}

// Address is where the replica listens, "" while it does not run.
func (s Status) Address() string {
	if !s.IsRunning {
		return ""
	}
	return loopback(s.Port)
}

// Supervisor keeps one process running until it is stopped.
type Supervisor struct {
	manager *Manager
	id, dir string
	spec    Spec
	// changed is called after every start and exit.
	changed func()

	cancel context.CancelFunc
	// started is closed after the first attempt to start; startErr is its outcome.
	started  chan struct{}
	startErr error
	// stopped is closed when the process has ended for good.
	stopped chan struct{}

	mu     sync.Mutex
	status Status
	// current is the process while it runs.
	current *Process
	// left are the runs that have left something behind that SIGKILL did not end at once.
	left []*tree
	// awaitingRun are closed at the next attempt to start the process.
	awaitingRun []chan struct{}
}

// Supervise keeps the replica called id running, beginning with adopted if that is
// not nil. Its files are in dir, which the supervisor creates and removes. changed
// is called after every start and exit; it must not wait for a supervisor.
func (m *Manager) Supervise(id, dir string, spec Spec, adopted *Process, changed func()) *Supervisor {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Supervisor{
		manager: m, id: id, dir: dir, spec: spec, changed: changed,
		cancel: cancel, started: make(chan struct{}), stopped: make(chan struct{}),
		status: Status{ID: id},
	}
	if adopted != nil {
		m.ports.claim(adopted.Port)
		s.noteRunning(adopted)
	}
	go s.run(ctx, adopted)
	return s
}

// run starts the process again whenever it has ended, until ctx ends.
func (s *Supervisor) run(ctx context.Context, current *Process) {
	defer close(s.stopped)
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.Multiplier, delays.MaxInterval = firstRestart, 2, lastRestart
	for first := true; ; first = false {
		begin := time.Now()
		if current == nil {
			current = s.startProcess()
		}
		if first {
			close(s.started)
		}
		if current != nil {
			s.await(ctx, current)
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

// startProcess starts the process on a new port. It returns nil if that fails.
func (s *Supervisor) startProcess() *Process {
	p, err := s.tryStart()
	if err != nil {
		s.manager.log.Error("replica cannot be started", "replica", s.id, "error", err)
		s.mu.Lock()
		s.startErr, s.status.Exit = err, err.Error()
		s.endWaits()
		s.mu.Unlock()
		return nil
	}
	s.manager.log.Info("replica started", "replica", s.id, "pid", p.PID, "port", p.Port)
	s.noteRunning(p)
	s.changed()
	return p
}

func (s *Supervisor) tryStart() (_ *Process, err error) {
	port, err := s.manager.ports.take()
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.manager.ports.release(port)
		}
	}()
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the replica's directory: %w", err)
	}
	state := State{Revision: s.spec.Revision, Incarnation: rand.Text(), Port: port}
	environ := s.spec.Environ(port, state.Incarnation)
	return start(s.dir, s.spec.Dir, s.spec.Argv, environ, state, s.manager.outputs.file(s.logPath()))
}

// await returns when the process has ended, by itself or because ctx has.
func (s *Supervisor) await(ctx context.Context, p *Process) {
	select {
	case <-p.exited:
		s.manager.log.Warn("replica exited", "replica", s.id, "pid", p.PID, "exit", p.exit)
	case <-ctx.Done():
		p.Terminate(StopGrace)
		s.manager.log.Info("replica stopped", "replica", s.id, "pid", p.PID)
	}
	s.manager.ports.release(p.Port)
	if p.strays != nil {
		s.manager.log.Error("replica left something behind", "replica", s.id, "error", p.strays)
	}
	s.mu.Lock()
	if p.strays != nil {
		s.left = append(s.left, p.tree)
	}
	s.status.IsRunning, s.status.Exit, s.status.Port = false, p.exit, 0
	s.current = nil
	s.mu.Unlock()
	s.changed()
}

// noteRunning makes p the run that Status reports.
func (s *Supervisor) noteRunning(p *Process) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.startErr = nil
	s.status.IsRunning, s.status.Exit = true, ""
	s.status.Incarnation, s.status.Port = p.Incarnation, p.Port
	s.current = p
	s.endWaits()
}

// endWaits is called, with the mutex held, after an attempt to start the process.
func (s *Supervisor) endWaits() {
	for _, waiting := range s.awaitingRun {
		close(waiting)
	}
	s.awaitingRun = nil
}

// AwaitStart returns the outcome of the first attempt to start.
func (s *Supervisor) AwaitStart(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.started:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.startErr != nil {
		return fmt.Errorf("%s: %w", s.id, s.startErr)
	}
	return nil
}

// Stop ends the process and removes the files of the replica. The process ends
// even if ctx does before; then Stop must be called again to remove the files. A
// process that SIGKILL does not end is an error, which names the process.
func (s *Supervisor) Stop(ctx context.Context) error {
	s.cancel()
	if err := s.awaitStop(ctx); err != nil {
		return err
	}
	if err := s.endLeft(); err != nil {
		return err
	}
	if err := s.manager.outputs.file(s.logPath()).Close(); err != nil {
		return fmt.Errorf("closing the log of %s: %w", s.id, err)
	}
	if err := os.RemoveAll(s.dir); err != nil {
		return fmt.Errorf("removing %s: %w", s.id, err)
	}
	return nil
}

// awaitStop waits until the process has ended for good.
func (s *Supervisor) awaitStop(ctx context.Context) error {
	overdue := time.NewTimer(StopGrace + killGrace)
	defer overdue.Stop()
	select {
	case <-s.stopped:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("stopping %s: %w", s.describe(), ctx.Err())
	case <-overdue.C:
		return fmt.Errorf("%s has not ended %s after SIGKILL. %s", s.describe(), killGrace, heldAdvice)
	}
}

// heldAdvice follows what SIGKILL has not ended.
const heldAdvice = "The system holds it, for example because a disk or a network file system does not answer: " +
	"repair that or restart the machine, and try again"

// endLeft ends what earlier runs have left behind, once the process has ended for good.
func (s *Supervisor) endLeft() error {
	s.mu.Lock()
	left := slices.Clone(s.left)
	s.mu.Unlock()
	for _, tree := range left {
		if err := tree.end(strayGrace); err != nil {
			return fmt.Errorf("%s: %w. %s", s.id, err, heldAdvice)
		}
	}
	return nil
}

// describe names the replica, and its process while there is one.
func (s *Supervisor) describe() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil {
		return s.id
	}
	return fmt.Sprintf("%s (process %d)", s.id, s.current.PID)
}

// Restart ends this run of the process and waits until the process is started again, as
// after a crash. It does nothing if the process does not run or already runs again.
func (s *Supervisor) Restart(ctx context.Context, incarnation string) error {
	again := make(chan struct{})
	s.mu.Lock()
	current := s.current
	if current == nil || current.Incarnation != incarnation {
		s.mu.Unlock()
		return nil
	}
	s.awaitingRun = append(s.awaitingRun, again)
	s.mu.Unlock()
	go current.Terminate(StopGrace)
	select {
	case <-ctx.Done():
		return fmt.Errorf("starting %s again: %w", s.id, ctx.Err())
	case <-s.stopped:
		return nil
	case <-again:
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.startErr != nil {
		return fmt.Errorf("starting %s again: %w", s.id, s.startErr)
	}
	return nil
}

// Status returns the replica as it is now.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Supervisor) logPath() string { return filepath.Join(s.dir, outputFile) }
