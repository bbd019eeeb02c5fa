// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// optionsWithAnotherAgent builds an image with an agent other than the one that runs. It
// returns options with that image, and the image's ID.
func (h *harness) optionsWithAnotherAgent() (opts Options, id string) {
	h.Helper()
	opts = h.options(h.name)
	opts.Agent.Image = h.name + ":next"
	h.buildImage(opts.Agent.Image, "FROM "+h.base+"\nLABEL another=one", nil)
	image, err := h.engine.ImageInspect(h.Context(), opts.Agent.Image)
	h.must(err)
	return opts, image.ID
}

func TestAgentIsReplacedWithoutADroppedRequest(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	release := s.deployLive("1.0.0")
	opts, id := h.optionsWithAnotherAgent()
	opts.Agent.Replace = true
	load := startLoad(t, s.endpoint())
	p := h.openWith(t, opts)
	replaced := &service{h, p, bluegreen.NewDeployer(h.name, p, newChecker(t), "tester@host (pid 2)")}
	replaced.applyAgain(release)
	load.stop("the agent was replaced")
	found := h.inspect(h.name)
	if found.Container.Image != id {
		t.Errorf("the agent's image is %s", found.Container.Image)
	}
	replaced.makeLive(s.release("2.0.0", agenttest.Healthy))
}

// The apply is interrupted while the former agent waits for a client that sends no
// request. The new agent serves by then.
func TestInterruptWhileTheAgentIsReplaced(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	release := s.deployLive("1.0.0")
	opts, id := h.optionsWithAnotherAgent()
	opts.Agent.Replace = true
	idle, err := net.Dial("tcp", strings.TrimPrefix(s.endpoint(), "http://"))
	s.must(err)
	defer idle.Close()
	_, err = fmt.Fprint(idle, "GET / HTTP/1.1\r\nHost: web\r\n\r\n")
	s.must(err)
	response, err := http.ReadResponse(bufio.NewReader(idle), nil)
	s.must(err)
	s.must(response.Body.Close())

	load := startLoad(t, s.endpoint())
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	locked := make(chan error, 1)
	go func() { locked <- errorOf(h.openWith(t, opts).Lock(ctx, "tester@host (pid 2)")) }()
	s.eventually(func() error {
		_, err := h.engine.ContainerInspect(t.Context(), h.name+"-former", client.ContainerInspectOptions{})
		if err != nil {
			return err
		}
		found, err := h.engine.ContainerInspect(t.Context(), h.name, client.ContainerInspectOptions{})
		if err == nil && !found.Container.State.Running {
			err = errors.New("the new agent does not run yet")
		}
		return err
	})
	interrupt()
	if err := <-locked; !errors.Is(err, context.Canceled) {
		t.Errorf("the interrupted lock ended with: %v", err)
	}
	found := h.inspect(h.name)
	if found.Container.Image != id {
		t.Errorf("the agent's image is %s", found.Container.Image)
	}
	load.stop("an interrupt came while the agent was replaced")
	s.applyAgain(release)
	s.expectVersion("1.0.0")
}

// Each deployment of an apply has its own platform, and the platforms share the host.
func TestSeveralDeploymentsReplaceTheAgentOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	opts, _ := h.optionsWithAnotherAgent()
	opts.Agent.Replace = true
	opts.Host = NewHost(opts.Connection, h.name)
	ids := make([]string, 3)
	var group sync.WaitGroup
	for n := range ids {
		group.Go(func() {
			with := opts
			with.Name = fmt.Sprintf("%s-%d", h.name, n)
			unlock, err := h.openWith(t, with).Lock(t.Context(), "tester@host (pid 1)")
			if err != nil {
				t.Error(err)
				return
			}
			defer unlock()
			found, err := h.engine.ContainerInspect(t.Context(), h.name, client.ContainerInspectOptions{})
			if err != nil {
				t.Error(err)
			}
			ids[n] = found.Container.ID
		})
	}
	group.Wait()
	if ids[0] != ids[1] || ids[1] != ids[2] {
		t.Errorf("the agents were %v", ids)
	}
	s.expectVersion("1.0.0")
}

// Several deployments of one process, and another process, find the agent too old at the
// same time.
func TestSeveralDeploymentsFindTheAgentTooOld(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	opts, id := h.optionsWithAnotherAgent()
	shared := opts
	shared.Host = NewHost(opts.Connection, h.name)
	load := startLoad(t, s.endpoint())
	var all, group sync.WaitGroup
	all.Add(4)
	for _, with := range []Options{shared, shared, shared, opts} {
		m := h.openWith(t, with).manager
		looked := sync.OnceFunc(func() { all.Done(); all.Wait() })
		group.Go(func() {
			if err := m.withAgent(t.Context(), func() error {
				present, err := h.engine.ContainerInspect(t.Context(), h.name, client.ContainerInspectOptions{})
				looked()
				if err != nil {
					return fmt.Errorf("%w: %w", agentclient.ErrNotRunning, err)
				}
				if present.Container.Image != id {
					return &agentclient.VersionError{Agent: 1, Provider: 2}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	load.stop("an agent that was too old was replaced")
	_, err := h.engine.ContainerInspect(t.Context(), h.name+"-former", client.ContainerInspectOptions{})
	if !errdefs.IsNotFound(err) {
		t.Errorf("the former agent is still there: %v", err)
	}
	present := h.inspect(h.name)
	c := present.Container
	policy := c.HostConfig.RestartPolicy.Name
	if c.Image != id || c.RestartCount != 0 || policy != container.RestartPolicyUnlessStopped {
		t.Errorf("the agent has image %s, %d restarts and restart policy %s", c.Image, c.RestartCount, policy)
	}
	s.makeLive(s.release("2.0.0", agenttest.Healthy))
}

// If agent_image itself is too old, the agent is not replaced again and again.
func TestAgentImageIsTooOld(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	before := h.inspect(h.name)
	opts := h.options(h.name)
	opts.Agent.Image = before.Container.Config.Image
	err := h.openWith(t, opts).manager.withAgent(t.Context(), func() error {
		return &agentclient.VersionError{Agent: 1, Provider: 2}
	})
	if err == nil || !contains(err, "and so is agent_image, "+opts.Agent.Image) {
		t.Errorf("got %v", err)
	}
	after := h.inspect(h.name)
	if after.Container.ID != before.Container.ID {
		t.Error("the agent was replaced")
	}
}

func TestAgentThatCannotBeReplacedKeepsServing(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	broken := h.name + ":broken"
	h.must(h.importImage(broken, map[string]file{AgentProgram[1:]: {content: []byte("no program")}}))
	opts := h.options(h.name)
	opts.Agent.Image, opts.Agent.Replace = broken, true
	load := startLoad(t, s.endpoint())
	_, err := h.openWith(t, opts).Lock(t.Context(), "tester@host (pid 2)")
	if err == nil || !contains(err, "replacing the agent") {
		t.Errorf("got %v", err)
	}
	load.stop("the agent could not be replaced")
	s.makeLive(s.release("2.0.0", agenttest.Healthy))
}
