// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process/listener"
)

const (
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
	// Dir is the directory in which it runs. MakeDir, if not nil, is called before every start and
	// makes the directory if it is missing.
	Dir     string
	MakeDir func(ctx context.Context) error
	// Env are the variables of the release. PORT and HOST say where to listen.
	Env map[string]string
	// Ports are where the replica gets its port from; zero for those of the manager.
	Ports    PortRange
	Settings Settings
	// Problem, if not nil, says why it cannot be started. A process that runs goes on.
	Problem error
}

// Status is a replica at one moment.
type Status struct {
	ID string
	// Incarnation identifies the run, the last one while it does not run.
	Incarnation string
	IsRunning   bool
	// Exit says how the last run ended, "" while it runs.
	Exit string
	// Port is where it is to listen, 0 while it does not run.
	Port int
	// IsListening is true once one of its processes listens on Port, and nothing else does. On
	// systems that do not tell that it is true as soon as the replica runs.
	IsListening bool
	// NotListening says why IsListening is false, and what else listens on Port.
	NotListening string
	// Listeners identify the sockets with which it listens.
	Listeners []string
	// group is the control group of the run.
	group controlGroup
}

// Address is where the replica is to listen, "" while it does not run.
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
	// changed is called after every start and exit, and when it begins or ceases to listen.
	changed func()

	cancel context.CancelFunc
	// started is closed after the first attempt to start; startErr is its outcome.
	started  chan struct{}
	startErr error
	// stopped is closed when the process has ended for good.
	stopped chan struct{}

	// looking makes one look at the port follow the other.
	looking sync.Mutex
	// left are those of its runs.
	left leftovers

	mu     sync.Mutex
	spec   Spec
	status Status
	// current is the process while it runs.
	current *Process
	// awaitingRun are closed at the next attempt to start the process.
	awaitingRun []chan struct{}
	// awaitingSpec are closed once there was an attempt with the present spec.
	awaitingSpec []chan struct{}
	// specs counts the specs, and attempted is the number of that of the last attempt.
	specs, attempted int
	// respecified has a value once another spec is to be tried without delay.
	respecified chan struct{}
}

// Supervise keeps the replica called id running, beginning with adopted if that is
// not nil. It is first started once former, if not nil, is closed. Its files are in dir, which
// the supervisor creates and removes. changed is called after every start and exit, and when the
// replica begins or ceases to listen; it must not wait for a supervisor.
func (m *Manager) Supervise(
	id, dir string, spec Spec, adopted *Process, former <-chan struct{}, changed func(),
) *Supervisor {
	ctx, cancel := context.WithCancel(context.Background())
	s := &Supervisor{
		manager: m, id: id, dir: dir, spec: spec, changed: changed,
		cancel: cancel, started: make(chan struct{}), stopped: make(chan struct{}),
		respecified: make(chan struct{}, 1),
		status:      Status{ID: id},
	}
	if adopted != nil {
		m.ports.adopt(adopted.Port)
		s.noteRunning(adopted, 0)
		// One that listens serves from the beginning. All that are adopted share one view.
		s.lookAt(adopted, time.Now().Add(-listener.LookInterval))
	}
	go s.run(ctx, adopted, former)
	return s
}

// run starts the process again whenever it has ended, until ctx ends or another program
// supervises it.
func (s *Supervisor) run(ctx context.Context, current *Process, former <-chan struct{}) {
	over := s.manager.duty.over
	defer func() {
		if over.Err() == nil {
			close(s.stopped)
		}
	}()
	if former != nil {
		select {
		case <-former:
		case <-over.Done():
			return
		}
	}
	delays := backoff.NewExponentialBackOff()
	delays.InitialInterval, delays.Multiplier, delays.MaxInterval = firstRestart, 2, lastRestart
	for first := true; ; first = false {
		begin := time.Now()
		if current == nil && ctx.Err() == nil {
			current = s.startProcess(ctx)
		}
		if over.Err() != nil {
			return
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
		case <-over.Done():
			return
		case <-s.respecified:
		case <-time.After(delays.NextBackOff()):
		}
	}
}

// startProcess starts the process on a new port. It returns nil if that fails, or if another
// program supervises the replica.
func (s *Supervisor) startProcess(ctx context.Context) *Process {
	s.manager.duty.starts.RLock()
	defer s.manager.duty.starts.RUnlock()
	if s.manager.duty.isOver() {
		return nil
	}
	spec, number := s.currentSpec()
	p, err := s.tryStart(ctx, spec)
	if err != nil {
		s.manager.log.Error("replica cannot be started", "replica", s.id, "error", err)
		s.mu.Lock()
		s.startErr, s.status.Exit = err, err.Error()
		s.endWaits(number)
		s.mu.Unlock()
		return nil
	}
	s.manager.log.Info("replica started", "replica", s.id, "pid", p.PID, "port", p.Port)
	if p.unnoted != nil {
		s.manager.log.Warn("the process of a replica cannot be noted; the next agent finds it by its environment",
			"replica", s.id, "pid", p.PID, "error", p.unnoted)
	}
	s.noteRunning(p, number)
	s.changed()
	return p
}

func (s *Supervisor) tryStart(ctx context.Context, spec Spec) (_ *Process, err error) {
	if err := errors.Join(spec.Problem, s.manager.checkFiles()); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return nil, fmt.Errorf("creating the replica's directory: %w", err)
	}
	if spec.MakeDir != nil {
		if err := spec.MakeDir(ctx); err != nil {
			return nil, err
		}
	}
	limits, err := spec.Settings.limits()
	if err != nil {
		return nil, err
	}
	port, err := s.manager.ports.take(spec.Ports)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			port.socket.Close()
			s.manager.ports.release(port.number)
		}
	}()
	if limits.SocketActivation {
		if err := port.listen(); err != nil {
			return nil, fmt.Errorf("listening on %s: %w", loopback(port.number), err)
		}
	}
	state := State{
		Revision: spec.Revision, Incarnation: newIncarnation(spec.Revision), Port: port.number,
		StopSignal: spec.Settings.stopSignal(), StopTimeout: spec.Settings.stopTimeout(),
	}
	what := program{
		argv: spec.Argv, dir: spec.Dir, limits: limits, port: port.socket,
		environ: spec.environ(port.number, state.Incarnation, limits.User),
	}
	p, err := start(s.dir, what, state, s.manager.outputs.file(s.logPath()), s.manager.duty)
	if err == nil && limits.SocketActivation {
		p.socket = port.socket
	}
	return p, err
}

// currentSpec returns the spec and its number.
func (s *Supervisor) currentSpec() (spec Spec, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.spec, s.specs
}

func (s *Supervisor) settings() Settings {
	spec, _ := s.currentSpec()
	return spec.Settings
}

// Respecify makes spec what is started from now on. A process that runs goes on. One that could not
// be started is tried again at once.
func (s *Supervisor) Respecify(spec Spec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spec = spec
	s.specs++
	if s.current != nil {
		return
	}
	select {
	case s.respecified <- struct{}{}:
	default:
	}
}

// await returns when the process has ended, by itself or because ctx has, or when another
// program supervises it.
func (s *Supervisor) await(ctx context.Context, p *Process) {
	s.watchPort(ctx, p)
	switch {
	case !p.isRunning():
		s.manager.log.Warn("replica exited", "replica", s.id, "pid", p.PID, "exit", p.exit)
	case ctx.Err() != nil:
		s.settings().Terminate(p)
		s.manager.log.Info("replica stopped", "replica", s.id, "pid", p.PID)
	}
	if p.isRunning() {
		// Another program supervises it now.
		return
	}
	if p.strays != nil {
		s.manager.log.Error("replica left something behind", "replica", s.id, "error", p.strays)
	}
	// What the system has let go by now needs no more time.
	_, _ = s.left.end(0), s.manager.left.end(0)
	if p.strays != nil {
		s.left.add(p.tree)
	}
	s.mu.Lock()
	s.status = Status{ID: s.id, Incarnation: p.Incarnation, Exit: p.exit}
	s.current = nil
	s.mu.Unlock()
	s.changed()
	// Nobody else may get the port while requests can go there.
	p.socket.Close()
	s.manager.ports.release(p.Port)
}

// noteRunning makes p, which was started with the spec of this number, the run that Status reports.
func (s *Supervisor) noteRunning(p *Process, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.startErr = nil
	p.port = newPortWatch(s.manager.views, s.id, p.State, p.socket != nil)
	s.status = Status{ID: s.id, Incarnation: p.Incarnation, IsRunning: true, Port: p.Port, group: p.Group}
	s.status.IsListening, s.status.NotListening = !listener.IsSupported, p.port.problem
	s.current = p
	s.endWaits(number)
}

// endWaits is called, with the mutex held, after an attempt to start the process with the spec of
// this number.
func (s *Supervisor) endWaits(number int) {
	s.attempted = number
	if s.current != nil || number == s.specs {
		for _, waiting := range s.awaitingSpec {
			close(waiting)
		}
		s.awaitingSpec = nil
	}
	for _, waiting := range s.awaitingRun {
		close(waiting)
	}
	s.awaitingRun = nil
}

// AwaitStart returns the outcome of the last attempt to start, of the first one if there was none
// before. After Respecify that is an attempt with the new spec.
func (s *Supervisor) AwaitStart(ctx context.Context) error {
	for _, attempted := range []<-chan struct{}{s.started, s.awaitSpec()} {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-s.manager.duty.over.Done():
			return errLetGo
		case <-s.stopped:
		case <-attempted:
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.startErr != nil {
		return fmt.Errorf("%s: %w", s.id, s.startErr)
	}
	return nil
}

// awaitSpec returns a channel that is closed once the present spec was tried, or is not needed
// because the process runs.
func (s *Supervisor) awaitSpec() <-chan struct{} {
	tried := make(chan struct{})
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil || s.attempted == s.specs {
		close(tried)
	} else {
		s.awaitingSpec = append(s.awaitingSpec, tried)
	}
	return tried
}

// Status returns the replica as it is now.
func (s *Supervisor) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

func (s *Supervisor) logPath() string { return filepath.Join(s.dir, outputFile) }
