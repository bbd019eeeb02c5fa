// SPDX-License-Identifier: MPL-2.0

//go:build unix

package containers_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/containers"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/dockerapi"
)

// fakeEngine answers like a Docker engine with the container "c1".
type fakeEngine struct {
	*testing.T
	socket string
	server *http.Server
	// health is the status of the HEALTHCHECK, "" for none.
	health atomic.Value
	// inspected and restarted count the calls, started the commands.
	inspected, restarted, started atomic.Int64
	// runs is set while a command runs, which then does not end.
	runs atomic.Bool
	// closesStreams is set while a command that runs has closed its streams.
	closesStreams atomic.Bool
	// seenRunning receives when the engine was asked about a command that runs.
	seenRunning chan struct{}
	labels      map[string]string
}

func newFakeEngine(t *testing.T) *fakeEngine {
	t.Helper()
	dir, err := os.MkdirTemp("", "bg-")
	if err != nil {
		t.Fatal(err)
	}
	f := &fakeEngine{
		T: t, socket: filepath.Join(dir, "s"), seenRunning: make(chan struct{}, 1),
		labels: map[string]string{
			dockerapi.LabelAgent: "agent", dockerapi.LabelDeployment: "web",
			dockerapi.LabelEnvironment: "green", dockerapi.LabelReplica: "green-1",
		},
	}
	f.health.Store("")
	t.Cleanup(func() {
		f.stop()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	f.start()
	return f
}

// start serves until stop is called.
func (f *fakeEngine) start() {
	f.Helper()
	listener, err := net.Listen("unix", f.socket)
	if err != nil {
		f.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/_ping", func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Api-Version", "1.41") })
	mux.HandleFunc("GET /v1.41/containers/c1/json", func(w http.ResponseWriter, _ *http.Request) {
		f.inspected.Add(1)
		state := map[string]any{"Status": "running", "Running": true}
		if status := f.health.Load(); status != "" {
			run := map[string]any{"ExitCode": 1, "Output": "no database"}
			state["Health"] = map[string]any{"Status": status, "Log": []any{run}}
		}
		_ = json.NewEncoder(w).Encode(map[string]any{
			"Id": "c1", "State": state, "Config": map[string]any{"Labels": f.labels},
		})
	})
	mux.HandleFunc("POST /v1.41/containers/c1/restart", func(http.ResponseWriter, *http.Request) { f.restarted.Add(1) })
	mux.HandleFunc("POST /v1.41/containers/c1/exec", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"Id": "e1"}`)
	})
	mux.HandleFunc("POST /v1.41/exec/e1/start", func(w http.ResponseWriter, r *http.Request) {
		f.started.Add(1)
		// What is left unread would be taken for the end of the client, and resets it.
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			f.Error(err)
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			f.Error(err)
			return
		}
		defer conn.Close()
		const upgraded = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
		if _, err := conn.Write([]byte(upgraded)); err != nil {
			f.Error(err)
		}
		if f.runs.Load() && !f.closesStreams.Load() {
			// The client hangs up when its time is over.
			_, _ = conn.Read(make([]byte, 1))
		}
	})
	mux.HandleFunc("GET /v1.41/exec/e1/json", func(w http.ResponseWriter, _ *http.Request) {
		if !f.runs.Load() {
			fmt.Fprint(w, `{"ID": "e1", "Running": false, "ExitCode": 3}`)
			return
		}
		fmt.Fprint(w, `{"ID": "e1", "Running": true, "ExitCode": 0}`)
		select {
		case f.seenRunning <- struct{}{}:
		default:
		}
	})
	f.server = &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() {
		if err := f.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			f.Error(err)
		}
	}()
}

func (f *fakeEngine) stop() { f.server.Close() }

// open returns the container of the replica as the agent has it, and what is logged.
func (f *fakeEngine) open() (c *containers.Container, log *bytes.Buffer) {
	f.Helper()
	log = &bytes.Buffer{}
	engine, err := containers.Open(f.socket, "agent", slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(engine.Close)
	return engine.Container(containers.Replica{
		Container: "c1", Deployment: "web", Environment: bluegreen.Green, ID: "green-1",
	}), log
}

func TestHealthcheckIsAVerdictOnceItHasDecided(t *testing.T) {
	t.Parallel()
	f := newFakeEngine(t)
	c, _ := f.open()
	f.health.Store("healthy")
	if verdict := c.Ready(t.Context()); !verdict.IsHealthy() {
		t.Errorf("got %v", verdict)
	}
	f.health.Store("starting")
	if err := c.Ready(t.Context())["HEALTHCHECK"]; !errors.Is(err, bluegreen.ErrCouldNotAsk) {
		t.Errorf("got %v", err)
	}
	f.health.Store("unhealthy")
	err := c.Ready(t.Context())["HEALTHCHECK"]
	if err == nil || err.Error() != "unhealthy, exit status 1: no database" {
		t.Errorf("got %v", err)
	}
}

// That an image has no HEALTHCHECK does not change, so it is asked once.
func TestContainerWithoutHealthcheckIsAskedOnce(t *testing.T) {
	t.Parallel()
	f := newFakeEngine(t)
	c, _ := f.open()
	for range 3 {
		if verdict := c.Ready(t.Context()); len(verdict) > 0 {
			t.Errorf("got %v", verdict)
		}
	}
	if n := f.inspected.Load(); n != 1 {
		t.Errorf("the engine was asked %d times", n)
	}
}

// Whoever takes a name or an ID of the provider's, the agent leaves the container alone.
func TestContainerWithoutTheLabelsIsLeftAlone(t *testing.T) {
	t.Parallel()
	for _, label := range []string{
		dockerapi.LabelAgent, dockerapi.LabelDeployment, dockerapi.LabelEnvironment, dockerapi.LabelReplica,
	} {
		f := newFakeEngine(t)
		f.labels[label] = "other"
		f.health.Store("unhealthy")
		c, _ := f.open()
		if verdict := c.Ready(t.Context()); len(verdict) > 0 {
			t.Errorf("%s: got %v", label, verdict)
		}
		if err := c.Exec(t.Context(), []string{"true"}); !errors.Is(err, bluegreen.ErrCouldNotAsk) {
			t.Errorf("%s: the command ended with %v", label, err)
		}
		if err := c.Restart(t.Context()); err == nil {
			t.Errorf("%s: it was restarted", label)
		}
		if f.started.Load() != 0 || f.restarted.Load() != 0 {
			t.Errorf("%s: %d commands and %d restarts", label, f.started.Load(), f.restarted.Load())
		}
	}
}

// An engine that is away says nothing about the container. The log says so once.
func TestEngineThatDoesNotAnswerIsLoggedOnce(t *testing.T) {
	t.Parallel()
	f := newFakeEngine(t)
	c, log := f.open()
	f.health.Store("healthy")
	if verdict := c.Ready(t.Context()); !verdict.IsHealthy() {
		t.Errorf("got %v", verdict)
	}
	f.stop()
	for range 3 {
		if err := c.Ready(t.Context())["HEALTHCHECK"]; !errors.Is(err, bluegreen.ErrCouldNotAsk) {
			t.Errorf("got %v", err)
		}
		err := c.Exec(t.Context(), []string{"true", "s3cret"})
		if !errors.Is(err, bluegreen.ErrCouldNotAsk) || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("the command ended with %v", err)
		}
	}
	f.start()
	if verdict := c.Ready(t.Context()); !verdict.IsHealthy() {
		t.Errorf("got %v", verdict)
	}
	text := log.String()
	if strings.Count(text, "does not answer") != 1 || strings.Count(text, "answers again") != 1 ||
		strings.Contains(text, "s3cret") {
		t.Errorf("the log:\n%s", text)
	}
}

// The engine cannot stop a command. One that hangs is not started again and again.
func TestCommandThatHangsIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	f := newFakeEngine(t)
	c, _ := f.open()
	f.runs.Store(true)
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if err := c.Exec(ctx, []string{"check"}); err == nil || errors.Is(err, bluegreen.ErrCouldNotAsk) {
			t.Errorf("the command ended with %v", err)
		}
		cancel()
	}
	if n := f.started.Load(); n != 1 {
		t.Errorf("%d commands were started", n)
	}
	f.runs.Store(false)
	if err := c.Exec(t.Context(), []string{"check"}); err == nil || err.Error() != "exit status 3" {
		t.Errorf("the command ended with %v", err)
	}
	if err := c.Restart(t.Context()); err != nil || f.restarted.Load() != 1 {
		t.Errorf("%d restarts, %v", f.restarted.Load(), err)
	}
}

// A command may close its streams before it has exited. Its exit code is 0 until then.
func TestCommandThatClosesItsStreamsHasNotPassed(t *testing.T) {
	t.Parallel()
	f := newFakeEngine(t)
	c, _ := f.open()
	f.runs.Store(true)
	f.closesStreams.Store(true)
	ended := make(chan error, 1)
	go func() { ended <- c.Exec(t.Context(), []string{"check"}) }()
	select {
	case err := <-ended:
		t.Errorf("the command that runs ended with %v", err)
	case <-f.seenRunning:
	}
	f.runs.Store(false)
	if err := <-ended; err == nil || err.Error() != "exit status 3" {
		t.Errorf("the command ended with %v", err)
	}
}
