// SPDX-License-Identifier: MPL-2.0

package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"syscall"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/containers"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/logfile"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
)

// How much the agent's own log may take: three files of 10 MB.
const (
	logMegabytes = 10
	logBackups   = 2
)

// requestGrace is how long requests to the API may go on after SIGTERM.
const requestGrace = 5 * time.Second

// settings are the flags of the agent.
type settings struct {
	stateDir, metricsListen string
	linger                  time.Duration
	takeOver                bool
	// engineSocket is the path of a Docker engine's socket, "" for none. agentName is what
	// the labels of the agent's containers call it.
	engineSocket, agentName string
}

// Main runs the agent until it is stopped or has nothing left to do, and
// returns its exit status: 0 even if another agent serves the directory already,
// 1 for a failure, 2 for arguments that it does not understand.
func Main(args []string) int {
	if len(args) > 0 && args[0] == "connect" {
		return exitStatus(relay(args[1:], os.Stdin, os.Stdout))
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
	return exitStatus(s.run())
}

// exitStatus prints err, if any, and returns the exit status.
func exitStatus(err error) int {
	if err == nil {
		return 0
	}
	fmt.Fprintln(os.Stderr, "agent:", err)
	return 1
}

// setLinger reads the value of -linger.
func (s *settings) setLinger(value string) (err error) {
	if value == api.LingerForever {
		s.linger = math.MaxInt64
		return nil
	}
	s.linger, err = time.ParseDuration(value)
	return err
}

// parse reads the flags, and prints what it does not understand.
func parse(args []string) (s settings, err error) {
	s.engineSocket, s.agentName = os.Getenv(api.EngineSocketVariable), os.Getenv(api.AgentNameVariable)
	flags := flag.NewFlagSet("agent", flag.ContinueOnError)
	flags.StringVar(&s.stateDir, "state-dir", "",
		"directory of the state; default $XDG_STATE_HOME/bluegreen, else ~/.local/state/bluegreen")
	s.linger = time.Minute
	flags.Func("linger",
		`how long to stay once there is no deployment, or "`+api.LingerForever+`"; default 1m`, s.setLinger)
	flags.BoolVar(&s.takeOver, "take-over", false,
		"take over from the agent that serves the directory, which then ends; "+
			"if a service manager started that agent, it must not restart it")
	flags.StringVar(&s.metricsListen, "metrics-listen", "",
		"address to serve Prometheus metrics on, such as 127.0.0.1:9464; default none")
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	if flags.NArg() > 0 {
		err = fmt.Errorf("unexpected argument %q", flags.Arg(0))
		fmt.Fprintln(os.Stderr, "agent:", err)
	}
	return s, err
}

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
	stateLock, err := store.LockFile(dir.Lock())
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
	// It is held until the process ends, so that there are never two.
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
	host, closeEngine, err := s.openEngine(log)
	if err != nil {
		return err
	}
	defer closeEngine()
	a, err := openAgent(dir, log, s.linger, leave, predecessor, host)
	if err != nil {
		return err
	}
	a.lock = stateLock
	failed := make(chan error, 2)
	if s.metricsListen != "" {
		metrics, err := s.serveMetrics(ctx, a, failed)
		if err != nil {
			return err
		}
		defer metrics.Close()
	}
	if predecessor != nil {
		// If anything failed until now, the predecessor goes on.
		if listener, err = listenSocket(dir.Socket()); err != nil {
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
	if err := a.completeTakeover(); err != nil {
		return err
	}
	select {
	case err := <-failed:
		return fmt.Errorf("serving: %w", err)
	case <-ctx.Done():
	}
	a.log.Info("agent ends; replicas keep running")
	graceful, cancel := context.WithTimeout(context.Background(), requestGrace)
	defer cancel()
	// The deferred Close closes requests that take longer.
	_ = server.Shutdown(graceful)
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
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", a.metricsHandler())
	server := newServer(ctx, mux)
	go func() { failed <- server.Serve(listener) }()
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
