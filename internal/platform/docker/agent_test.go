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
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestAgentThatIsNotThereIsReadAndMadeAgain(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	release := s.deployLive("2.0.0")
	before, err := s.platform.Observe(t.Context())
	s.must(err)
	history, err := s.platform.History(t.Context())
	s.must(err)
	for _, c := range []struct {
		what string
		do   func() error
	}{
		{"stopped", func() error {
			return errorOf(h.engine.ContainerStop(t.Context(), h.name, client.ContainerStopOptions{}))
		}},
		{"removed", func() error {
			return errorOf(h.engine.ContainerRemove(t.Context(), h.name, client.ContainerRemoveOptions{Force: true}))
		}},
	} {
		s.must(c.do())
		now, err := h.open(t, h.name).Observe(t.Context())
		s.must(err)
		if now.Ledger.Generation != before.Ledger.Generation || now.Endpoint != before.Endpoint || len(now.Running) != 0 {
			t.Errorf("%s: it is %+v, and was %+v", c.what, now, before)
		}
		if got, err := s.platform.History(t.Context()); err != nil || len(got) != len(history) {
			t.Errorf("%s: the history is %v, %v", c.what, got, err)
		}
		if running := h.isAgentRunning(); running {
			t.Errorf("%s: reading has started it", c.what)
		}
		s.applyAgain(release)
		s.expectVersion("2.0.0")
		before, err = s.platform.Observe(t.Context())
		s.must(err)
	}
	s.must(s.Rollback(t.Context(), "it still can"))
	s.expectVersion("1.0.0")
}

// While one makes an agent another may remove the last one's volume. What the
// engine then makes in its place is ours too.
func TestVolumeThatGoesWhileTheAgentIsMade(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	m := h.open(t, h.name).manager
	h.must(m.ensureVolume(t.Context()))
	image, err := m.agentImage(t.Context())
	h.must(err)
	h.must(errorOf(h.engine.VolumeRemove(t.Context(), h.name, client.VolumeRemoveOptions{})))
	h.must(errorOf(h.engine.ContainerCreate(t.Context(), m.containerOptions(image))))
	h.must(m.ensureVolume(t.Context()))
	h.must(m.removeAgent(t.Context()))
}

func (h *harness) isAgentRunning() bool {
	h.Helper()
	found, err := h.engine.ContainerInspect(context.Background(), h.name, client.ContainerInspectOptions{})
	h.must(err)
	return found.Container.State.Running
}

func TestHostWithoutAnAgentHasNoDeployments(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.open(t, h.name)
	if _, err := p.Observe(t.Context()); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	if _, err := p.History(t.Context()); !errors.Is(err, bluegreen.ErrNotFound) {
		t.Errorf("got %v", err)
	}
	h.must(p.Drain(t.Context(), bluegreen.Blue))
}

func TestSeveralStartOneAgentAndLeaveNone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	for range 3 {
		var group sync.WaitGroup
		for n := range 4 {
			group.Go(func() {
				p := h.open(t, fmt.Sprintf("%s-%d", h.name, n))
				unlock, err := p.Lock(t.Context(), "tester@host (pid 1)")
				if err != nil {
					t.Error(err)
					return
				}
				unlock()
			})
		}
		group.Wait()
	}
}

func TestAgentIsBuiltFromTheProgram(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	content, err := program()
	h.must(err)
	path := filepath.Join(t.TempDir(), "program")
	h.must(os.WriteFile(path, content, 0o700))
	opts := h.options(h.name)
	opts.Agent.Image = ""
	for range 2 {
		p := h.openWith(t, opts)
		p.manager.program = func() (string, error) { return path, nil }
		unlock, err := p.Lock(t.Context(), "tester@host (pid 1)")
		h.must(err)
		unlock()
	}
}

func TestProgramThatCannotBeTheAgent(t *testing.T) {
	t.Parallel()
	script := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(script, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ path, system, cpu, want string }{
		{script, "linux", "amd64", "it is not a Linux program"},
		{script, "windows", "amd64", "the agent needs Linux containers"},
	} {
		if err := checkProgram(c.path, c.system, c.cpu); err == nil || !contains(err, c.want) {
			t.Errorf("%s on %s/%s: %v", filepath.Base(c.path), c.system, c.cpu, err)
		}
	}
}

// buildAnotherAgent makes an image with an agent that is not the one which runs.
func (h *harness) buildAnotherAgent() (reference, id string) {
	h.Helper()
	reference = h.name + ":next"
	h.buildImage(reference, "FROM "+h.base+"\nLABEL another=one", nil)
	image, err := h.engine.ImageInspect(h.Context(), reference)
	h.must(err)
	return reference, image.ID
}

func TestAgentIsReplacedWithoutADroppedRequest(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	release := s.deployLive("1.0.0")
	next, id := h.buildAnotherAgent()
	opts := h.options(h.name)
	opts.Agent.Image, opts.Agent.Replace = next, true
	load := startLoad(t, s.endpoint())
	replaced := &service{h, h.openWith(t, opts), bluegreen.NewDeployer(h.name, nil, checker(t), "tester@host (pid 2)")}
	replaced.Platform = replaced.platform
	replaced.applyAgain(release)
	load.stop("the agent was replaced")
	found, err := h.engine.ContainerInspect(t.Context(), h.name, client.ContainerInspectOptions{})
	s.must(err)
	if found.Container.Image != id {
		t.Errorf("the agent's image is %s", found.Container.Image)
	}
	replaced.makeLive(s.release("2.0.0", agenttest.Healthy))
}

// The former agent waits for a client that asks for nothing when the apply is
// interrupted. The new one serves by then.
func TestInterruptWhileTheAgentIsReplaced(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	release := s.deployLive("1.0.0")
	next, id := h.buildAnotherAgent()
	opts := h.options(h.name)
	opts.Agent.Image, opts.Agent.Replace = next, true
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
	found, err := h.engine.ContainerInspect(t.Context(), h.name, client.ContainerInspectOptions{})
	s.must(err)
	if found.Container.Image != id {
		t.Errorf("the agent's image is %s", found.Container.Image)
	}
	load.stop("an interrupt came while the agent was replaced")
	s.applyAgain(release)
	s.expectVersion("1.0.0")
}

// Each deployment of an apply has its own platform, and they share the session.
func TestSeveralReplaceTheAgentOnce(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	next, _ := h.buildAnotherAgent()
	opts := h.options(h.name)
	opts.Agent.Image, opts.Agent.Replace = next, true
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

// Several deployments of one process, and another process, find the agent too old
// at the same time.
func TestSeveralFindTheAgentTooOld(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	next, id := h.buildAnotherAgent()
	opts := h.options(h.name)
	opts.Agent.Image = next
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
					return fmt.Errorf("%w: %w", agent.ErrNotRunning, err)
				}
				if present.Container.Image != id {
					return &agent.VersionError{Agent: 1, Provider: 2}
				}
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	load.stop("an agent that was too old was replaced")
	if _, err := h.engine.ContainerInspect(t.Context(), h.name+"-former", client.ContainerInspectOptions{}); !errdefs.IsNotFound(err) {
		t.Errorf("the former agent is still there: %v", err)
	}
	present, err := h.engine.ContainerInspect(t.Context(), h.name, client.ContainerInspectOptions{})
	s.must(err)
	if c := present.Container; c.Image != id || c.RestartCount != 0 || c.HostConfig.RestartPolicy.Name != container.RestartPolicyUnlessStopped {
		t.Errorf("the agent is of %s, was started %d times again, and restarts %s", c.Image, c.RestartCount, c.HostConfig.RestartPolicy.Name)
	}
	s.makeLive(s.release("2.0.0", agenttest.Healthy))
}

// An agent_image with a version that is too old is no reason to replace the agent
// again and again.
func TestAgentImageIsTooOld(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	before, err := h.engine.ContainerInspect(t.Context(), h.name, client.ContainerInspectOptions{})
	s.must(err)
	opts := h.options(h.name)
	opts.Agent.Image = before.Container.Config.Image
	err = h.openWith(t, opts).manager.withAgent(t.Context(), func() error { return &agent.VersionError{Agent: 1, Provider: 2} })
	if err == nil || !contains(err, "and so is agent_image, "+opts.Agent.Image) {
		t.Errorf("got %v", err)
	}
	after, err := h.engine.ContainerInspect(t.Context(), h.name, client.ContainerInspectOptions{})
	s.must(err)
	if after.Container.ID != before.Container.ID {
		t.Error("the agent was replaced")
	}
}

func TestAgentThatCannotBeReplacedGoesOn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	broken := h.name + ":broken"
	h.must(h.importImage(broken, map[string]file{AgentProgram[1:]: {content: []byte("no program")}}))
	opts := h.options(h.name)
	opts.Agent.Image, opts.Agent.Replace = broken, true
	load := startLoad(t, s.endpoint())
	if _, err := h.openWith(t, opts).Lock(t.Context(), "tester@host (pid 2)"); err == nil || !contains(err, "replacing the agent") {
		t.Errorf("got %v", err)
	}
	load.stop("the agent could not be replaced")
	s.makeLive(s.release("2.0.0", agenttest.Healthy))
}

func TestAgentOfAnotherVersionIsCalledByItsContainer(t *testing.T) {
	t.Parallel()
	m := &agentManager{Agent: Agent{Name: "bluegreen-agent"}}
	for _, c := range []struct {
		agent, provider int
		want            string
	}{
		{2, 1, "the agent, container bluegreen-agent, was made by a newer version of this provider"},
		{1, 2, "the agent, container bluegreen-agent, was made by an older version of this provider"},
	} {
		// A process of a container has no number that could be killed from outside.
		err := m.explainVersion(&agent.VersionError{Agent: c.agent, Provider: c.provider, PID: 1})
		if !contains(err, c.want) || contains(err, "kill") {
			t.Errorf("got %v", err)
		}
		if isOlderAgent(err) != (c.agent < c.provider) {
			t.Errorf("older says %t of %v", isOlderAgent(err), err)
		}
	}
}
