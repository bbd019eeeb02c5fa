// SPDX-License-Identifier: MPL-2.0

//go:build linux

package client_test

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/store"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The process of the agent is stopped. Every request says so, and which process it is, and no
// other agent is started. Once it goes on, it answers again.
func TestStoppedAgentIsNamed(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	c := newClient(t, dir)
	if err := launch(t.Context(), t, c, agentCommand(t)); err != nil {
		t.Fatal(err)
	}
	pid := agenttest.PID(t, dir)
	signal := func(with syscall.Signal) {
		if err := syscall.Kill(pid, with); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() { signal(syscall.SIGCONT) })
	signal(syscall.SIGSTOP)
	agenttest.Eventually(t, func() error {
		threads, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, thread := range threads {
			if stat, err := os.ReadFile(thread); err == nil && !strings.Contains(string(stat), ") T ") {
				return errors.New("a thread of the agent is not stopped yet")
			}
		}
		return err
	})
	hurried := newClient(t, dir)
	hurried.SetSilence(time.Millisecond, 100*time.Millisecond)
	for name, request := range map[string]func() error{
		"reading": func() error { _, err := hurried.Deployment(t.Context(), "web"); return err },
		"locking": func() error { _, err := hurried.Lock(t.Context(), "web", "ada"); return err },
		"starting an agent": func() error {
			_, err := hurried.LaunchAndLock(t.Context(), agentCommand(t), "web", "ada")
			return err
		},
	} {
		err := request()
		var silent *client.SilentError
		if !errors.As(err, &silent) || silent.PID != pid || !errors.Is(err, bluegreen.ErrCouldNotAsk) {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, text := range []string{fmt.Sprintf("process %d,", pid), filepath.Join(dir, "agent.log"), "kill -CONT"} {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("%s: %q is missing in %q", name, text, err)
			}
		}
	}
	signal(syscall.SIGCONT)
	if _, err := c.Deployment(t.Context(), "web"); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("the agent that goes on answers %v", err)
	}
	if again := agenttest.PID(t, dir); again != pid {
		t.Errorf("the agent was process %d and is process %d", pid, again)
	}
}

// A request may take long. It is waited for as long as the agent answers others.
func TestLongRequestIsNotSilence(t *testing.T) {
	t.Parallel()
	dir := agenttest.StateDir(t)
	listener, err := net.Listen("unix", store.Dir(dir).Socket())
	if err != nil {
		t.Fatal(err)
	}
	asked := make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/v1/version", func(http.ResponseWriter, *http.Request) { asked <- struct{}{} })
	mux.HandleFunc("/v1/deployments/web/history", func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			<-asked
		}
		_, _ = w.Write([]byte("[]"))
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(func() {
		if err := server.Close(); err != nil && !errors.Is(err, os.ErrClosed) {
			t.Error(err)
		}
	})
	c := newClient(t, dir)
	c.SetSilence(time.Millisecond, time.Minute)
	if _, err := c.History(t.Context(), "web"); err != nil {
		t.Error(err)
	}
}
