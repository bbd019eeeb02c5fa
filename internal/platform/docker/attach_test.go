// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
)

// proxyEngine returns a connection to the harness's engine through a proxy. For every
// command that is to be started, the proxy calls begin. If begin returns false, the proxy
// refuses the command, and the engine does not see it. The counter is the number of
// commands that were refused, by the engine or by the proxy.
func (h *harness) proxyEngine(t *testing.T, begin func() bool) (c Connection, refused *atomic.Int32) {
	t.Helper()
	refused = new(atomic.Int32)
	dial := h.engine.Dialer()
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
	}
	t.Cleanup(transport.CloseIdleConnections)
	isStart := func(r *http.Request) bool {
		return strings.Contains(r.URL.Path, "/exec/") && strings.HasSuffix(r.URL.Path, "/start")
	}
	engine := &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", "engine" },
		Transport: transport,
		ModifyResponse: func(r *http.Response) error {
			if isStart(r.Request) && r.StatusCode >= http.StatusBadRequest {
				refused.Add(1)
			}
			return nil
		},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if isStart(r) && !begin() {
			refused.Add(1)
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		engine.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	return Connection{Host: "tcp://" + server.Listener.Addr().String()}, refused
}

// stopOnce stops the container before the first command is started, and lets every
// command start.
func (h *harness) stopOnce(t *testing.T, container string) (begin func() bool) {
	stop := sync.OnceFunc(func() {
		if _, err := h.engine.ContainerStop(t.Context(), container, client.ContainerStopOptions{}); err != nil {
			t.Error(err)
		}
	})
	return func() bool { stop(); return true }
}

func TestAgentThatEndsDuringConnectIsStartedAgain(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	opts := h.options(h.name)
	var refused *atomic.Int32
	opts.Connection, refused = h.proxyEngine(t, h.stopOnce(t, h.name))
	p := h.openWith(t, opts)
	unlock, err := p.Lock(t.Context(), "tester@host (pid 2)")
	h.must(err)
	unlock()
	p.Close()
	if refused.Load() == 0 {
		t.Error("the engine refused no command, so the test proves nothing")
	}
	s.expectVersion("1.0.0")
}

func TestAgentThatEndsDuringReadIsReadFromItsVolume(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	release := s.deployLive("1.0.0")
	opts := h.options(h.name)
	opts.Connection, _ = h.proxyEngine(t, h.stopOnce(t, h.name))
	p := h.openWith(t, opts)
	status, err := p.Observe(t.Context())
	h.must(err)
	record, live := status.Ledger.LiveRecord()
	if !live || record.Version != release.Version || len(status.Running) != 0 {
		t.Errorf("it is %+v", status)
	}
	s.applyAgain(release)
	s.expectVersion("1.0.0")
}

func TestCommandThatTheEngineNeverStartsIsGivenUp(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	opts := h.options(h.name)
	var refused *atomic.Int32
	opts.Connection, refused = h.proxyEngine(t, func() bool { return false })
	_, err := h.openWith(t, opts).Lock(t.Context(), "tester@host (pid 2)")
	if err == nil || !contains(err, "refused 3 times") || !contains(err, "500") || refused.Load() != 3 {
		t.Errorf("got %v after %d attempts", err, refused.Load())
	}
}

// The engine opens a connection to a container without the agent's program, and writes
// its error message to that connection.
func TestContainerWithoutTheAgentIsNotUsedAsAgent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	content, err := program()
	h.must(err)
	image := h.name + ":bare"
	h.must(h.importImage(image, map[string]file{"elsewhere": {content: content}}))
	made, err := h.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: h.name + "-bare",
		Config: &container.Config{
			Image: image, Labels: map[string]string{labelAgent: h.name},
			Cmd: []string{"/elsewhere", "agent", "-state-dir", "/state", "-linger", agentclient.LingerForever},
		},
	})
	h.must(err)
	t.Cleanup(func() {
		h.removeContainer(made.ID)
	})
	_, err = h.engine.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{})
	h.must(err)

	dial := func(ctx context.Context) (net.Conn, error) { return h.engine.dialAgent(ctx, made.ID) }
	remote := agentclient.NewRemote(dial)
	t.Cleanup(remote.Close)
	_, err = remote.Deployment(t.Context(), "web")
	if !errors.Is(err, agentclient.ErrNotRunning) || !contains(err, AgentProgram) || !contains(err, "no such file") {
		t.Errorf("got %v", err)
	}
}
