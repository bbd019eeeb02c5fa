// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestMissingAgentIsReadAndCreatedAgain(t *testing.T) {
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
		if now.Ledger.Generation != before.Ledger.Generation || now.Endpoint != before.Endpoint ||
			len(now.Running) != 0 {
			t.Errorf("%s: it is %+v, and was %+v", c.what, now, before)
		}
		if got, err := s.platform.History(t.Context()); err != nil || len(got) != len(history) {
			t.Errorf("%s: the history is %v, %v", c.what, got, err)
		}
		if running := h.isAgentRunning(); running {
			t.Errorf("%s: reading started it", c.what)
		}
		s.applyAgain(release)
		s.expectVersion("2.0.0")
		before, err = s.platform.Observe(t.Context())
		s.must(err)
	}
	s.must(s.Rollback(t.Context(), "it still can"))
	s.expectVersion("1.0.0")
}

// While one process creates an agent, another may remove the volume of the last one. The
// engine then creates a volume that must carry the agent's labels too.
func TestVolumeIsRemovedWhileTheAgentIsCreated(t *testing.T) {
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

func TestSeveralDeploymentsStartOneAgentAndLeaveNone(t *testing.T) {
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
