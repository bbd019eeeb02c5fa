// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/containers"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/logfile"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/parent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/systemd"
)

// How much the agent's own log may take: three files of 10 MB.
const (
	logMegabytes = 10
	logBackups   = 2
)

// requestGrace is how long requests to the API may go on after SIGTERM.
const requestGrace = 5 * time.Second

// Main runs the agent until it is stopped or has nothing left to do, and
// returns its exit status: 0 even if another agent serves the directory already,
// parent.FailedToBegin or parent.FailedToServe for a failure, 2 for arguments that it does not
// understand.
func Main(args []string) int {
	if len(args) > 0 && args[0] == "connect" {
		return exitStatus(relay(args[1:], os.Stdin, os.Stdout))
	}
	if len(args) > 0 && args[0] == "install" {
		return exitStatus(install(args[1:], os.Stdout))
	}
	if len(args) > 0 && args[0] == process.LauncherArgument {
		return process.Launch()
	}
	s, err := parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	// An agent that somebody has started with a lock or a listener keeps it. Its replicas don't
	// get it.
	process.KeepDescriptors()
	process.LeaveRun()
	if s.service && !systemd.IsRelayed() {
		return parent.RunService(append([]string{"agent"}, args...))
	}
	if s.restart && parent.PID() == 0 {
		return s.runParent(args)
	}
	return exitStatus(s.run())
}

// runParent runs the agent with a parent that starts it again when it dies.
func (s settings) runParent(args []string) int {
	dir, err := store.LocateDir(s.stateDir)
	if err == nil {
		err = dir.Prepare()
	}
	if err != nil {
		return exitStatus(err)
	}
	first := append([]string{"agent"}, withoutFlag(args, restartFlag)...)
	// An agent that has died has nothing to hand over any more. If another one serves by then,
	// that one stays.
	again := withoutFlag(first, takeOverFlag)
	return parent.Run(first, again, dir.Log())
}

// exitStatus prints err, if any, and returns the exit status.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "agent:", err)
	var serving *servingError
	if errors.As(err, &serving) {
		return parent.FailedToServe
	}
	return parent.FailedToBegin
}

// servingError is why an agent that has served does so no more.
type servingError struct{ err error }

func (e *servingError) Error() string { return "serving: " + e.err.Error() }
func (e *servingError) Unwrap() error { return e.err }

// run locks the state directory, or takes it over from the agent that has it, and serves it.
func (s settings) run() error {
	if err := durable.CheckSupported(); err != nil {
		return err
	}
	dir, err := store.LocateDir(s.stateDir)
	if err != nil {
		return err
	}
	if err := dir.Prepare(); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	stateLock, err := lockStateDir(ctx, dir)
	if err != nil {
		return fmt.Errorf("locking the state directory: %w", err)
	}
	if stateLock == nil && !s.takeOver {
		fmt.Fprintln(os.Stderr, "agent: another agent serves", dir)
		return nil
	}
	var predecessor *predecessor
	if stateLock == nil {
		if predecessor, err = takeOver(ctx, dir); err != nil {
			return err
		}
		stateLock = predecessor.lock
	}
	// It is held until the agent leaves, so that there are never two.
	defer runtime.KeepAlive(stateLock)
	file := logfile.New(dir.Log(), logMegabytes, logBackups)
	log := slog.New(slog.NewTextHandler(file, nil))
	if err := s.serve(ctx, dir, stateLock, predecessor, log); err != nil {
		log.Error("the agent failed", "error", err)
		return err
	}
	return nil
}

// serve opens what is in dir, which stateLock locks, and serves it until ctx ends.
func (s settings) serve(
	ctx context.Context, dir store.Dir, stateLock *os.File, predecessor *predecessor, log *slog.Logger,
) error {
	var listener net.Listener
	var err error
	if predecessor == nil {
		// From here on clients wait rather than start another agent.
		if listener, err = listenSocket(dir.Socket()); err != nil {
			return err
		}
		defer listener.Close()
	}
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	log.Info("agent started", "pid", os.Getpid(), "state_dir", string(dir))
	if err := process.LeaveRoomForOOMScore(); err != nil {
		log.Warn("when memory is used up, the kernel may end the agent before its replicas", "error", err)
	}
	host, closeEngine, err := s.openEngine(log)
	if err != nil {
		return err
	}
	defer closeEngine()
	process.RemoveEmptyGroups()
	manager := systemd.Connect(log)
	var opened atomic.Pointer[agent]
	defer manager.KeepAlive(func() {
		if a := opened.Load(); a != nil {
			a.all()
		}
	})()
	state, err := openStateDir(dir, stateLock)
	if err != nil {
		return err
	}
	a, err := openAgent(state, log, s.linger, leave, predecessor, host, manager, s.ports)
	if err != nil {
		return err
	}
	opened.Store(a)
	a.leaveWithin = s.leaveWithin
	failed := make(chan error, 2)
	if s.metricsListen != "" {
		metrics, err := s.serveMetrics(ctx, a, failed)
		if err != nil {
			return err
		}
		defer metrics.Close()
	}
	if predecessor != nil {
		// If anything fails until the predecessor lets go, it goes on, at its socket.
		if listener, err = listenSocket(dir.NextSocket()); err != nil {
			return err
		}
		defer listener.Close()
	}
	return a.serveAPI(ctx, listener, failed)
}

// openEngine returns the engine that the settings name, nil for none.
func (s settings) openEngine(log *slog.Logger) (_ engine, closeEngine func(), err error) {
	if s.engineSocket == "" {
		return nil, func() {}, nil
	}
	opened, err := containers.Open(s.engineSocket, s.agentName, log)
	if err != nil {
		return nil, nil, err
	}
	return dockerEngine{opened}, opened.Close, nil
}

// serveAPI serves the API on listener until ctx ends or a server has failed, and then
// shuts down: the requests to the API first, then the deployments.
func (a *agent) serveAPI(ctx context.Context, listener net.Listener, failed chan error) error {
	server := newServer(ctx, a.handler())
	go func() { failed <- server.Serve(listener) }()
	defer server.Close()
	go a.watchDirectory(ctx)
	if err := a.completeTakeover(ctx); err != nil {
		return err
	}
	a.tellReady()
	select {
	case err := <-failed:
		return &servingError{err}
	case <-ctx.Done():
	}
	a.log.Info("agent ends; replicas keep running")
	a.manager.Stopping("Ends: lets what is in flight finish; replicas keep running")
	graceful, cancel := context.WithTimeout(context.Background(), requestGrace)
	defer cancel()
	// The deferred Close closes requests that take longer.
	_ = server.Shutdown(graceful)
	if !a.hasHandedOver.Load() {
		a.stepDown()
	}
	a.manager.Leave()
	a.shutdown(context.Background())
	a.log.Info("agent ended")
	return nil
}

// serveMetrics serves the metrics at the address that the flags give.
func (s settings) serveMetrics(ctx context.Context, a *agent, failed chan<- error) (*http.Server, error) {
	listener, err := a.receivedSockets().Listen(s.metricsListen)
	if err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	a.metrics = listener
	a.manager.Keep(listener)
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metricsHandler())
	server := newServer(ctx, mux)
	go func() {
		if err := server.Serve(listener); !a.hasClosedDoors.Load() {
			failed <- err
		}
	}()
	return server, nil
}

// newServer returns a server whose requests end when ctx does.
func newServer(ctx context.Context, handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	// A client on another host has a single connection for everything.
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Protocols:         protocols,
		HTTP2:             api.HTTP2Config(),
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
}

// listenSocket listens on the socket at path, in the place of the one that
// the agent before left: the caller holds the lock of the directory.
func listenSocket(path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the former socket: %w", err)
	}
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listening: %w", err)
	}
	// By the time this one closes, the path may be that of another agent's.
	listener.SetUnlinkOnClose(false)
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("listening: %w", err)
	}
	return listener, nil
}
