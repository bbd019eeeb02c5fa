// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

func TestManualChangesAreSeenAndRepaired(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	release := s.deployLive("1.0.0")
	for _, c := range []struct {
		what string
		do   func(name string) error
	}{
		{"stopped", func(name string) error {
			return errorOf(h.engine.ContainerStop(t.Context(), name, client.ContainerStopOptions{}))
		}},
		{"removed", func(name string) error {
			return errorOf(h.engine.ContainerRemove(t.Context(), name, client.ContainerRemoveOptions{Force: true}))
		}},
		{"paused", func(name string) error {
			return errorOf(h.engine.ContainerPause(t.Context(), name, client.ContainerPauseOptions{}))
		}},
		{"stopped and disconnected", func(name string) error {
			return errors.Join(
				errorOf(h.engine.ContainerStop(t.Context(), name, client.ContainerStopOptions{})),
				h.disconnect(name, s.platform.networkName()))
		}},
	} {
		// No container is left to copy the spec from. The agent has stored it.
		for _, id := range []string{"green-1", "green-2"} {
			s.must(c.do(s.platform.containerName(id)))
		}
		if got := s.running(); got != [2]int{0, 0} {
			t.Errorf("%s: %v run", c.what, got)
		}
		s.applyAgain(release)
		if got := s.running(); got != [2]int{0, 2} {
			t.Errorf("%s: %v run after the repair", c.what, got)
		}
		s.expectVersion("1.0.0")
	}
}

// disconnect takes a container off a network.
func (h *harness) disconnect(container, network string) error {
	options := client.NetworkDisconnectOptions{Container: container, Force: true}
	return errorOf(h.engine.NetworkDisconnect(context.Background(), network, options))
}

// A container without a network runs, and nothing reaches it.
func TestDisconnectedContainerIsSeenAndRepaired(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	standby := s.deployLive("1.0.0")
	release := s.deployLive("2.0.0")
	for _, id := range []string{"blue-1", "green-2"} {
		s.must(h.disconnect(s.platform.containerName(id), s.platform.networkName()))
	}
	status, err := s.platform.Observe(t.Context())
	s.must(err)
	if status.Unready[bluegreen.Blue] != 1 || status.Unready[bluegreen.Green] != 1 || status.CanRollBack(100) {
		t.Errorf("the status is %+v", status)
	}
	want := "it is not connected to network " + s.platform.networkName()
	if got := s.instances(bluegreen.Blue)[0]; !got.Running || got.Unready != want {
		t.Errorf("the instance is %+v", got)
	}
	s.applyAgain(release)
	for _, env := range bluegreen.Environments() {
		for _, instance := range s.instances(env) {
			if instance.Unready != "" {
				t.Errorf("after the repair the instance is %+v", instance)
			}
		}
	}
	for range 4 {
		s.expectVersion(release.Version)
	}
	s.must(s.Rollback(t.Context(), "to see"))
	s.expectVersion(standby.Version)
}

func TestRecreatedContainerGetsNoTrafficUnchecked(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	release := s.deployLive("1.0.0")
	name := s.platform.containerName("green-1")
	former := h.inspect(name)
	h.removeContainer(name)
	// It is created again by hand with the same labels and another image.
	config := former.Container.Config
	config.Image = s.release("impostor", agenttest.Healthy).Image
	made, err := h.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{
		Name: name, Config: config, HostConfig: former.Container.HostConfig,
	})
	s.must(err)
	s.must(errorOf(h.engine.ContainerStart(t.Context(), made.ID, client.ContainerStartOptions{})))
	for range 10 {
		s.expectVersion("1.0.0")
	}
	if got := s.running(); got != [2]int{0, 1} {
		t.Errorf("%v are said to run", got)
	}
	s.applyAgain(release)
	s.expectVersion("1.0.0")
	if got := s.running(); got != [2]int{0, 2} {
		t.Errorf("%v run after the repair", got)
	}
}

// The process that repaired the standby died before the new containers had passed a
// health check. They would receive no traffic after a rollback.
func TestRollbackNeedsACheckedStandby(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	release := s.deployLive("2.0.0")
	for _, instance := range s.instances(bluegreen.Green) {
		h.removeContainer(containerOf(instance.Ref()))
	}
	unlock, err := s.platform.Lock(t.Context(), "died")
	s.must(err)
	s.must(s.platform.Scale(t.Context(), bluegreen.Green, 2))
	unlock()
	if got := s.running(); got != [2]int{2, 0} {
		t.Errorf("%v are said to run", got)
	}
	err = s.Rollback(t.Context(), "bad")
	if !errors.Is(err, bluegreen.RollbackFailed) || !contains(err, "does not receive traffic yet") {
		t.Errorf("the rollback ended with: %v", err)
	}
	s.expectVersion("2.0.0")
	s.applyAgain(release)
	s.must(s.Rollback(t.Context(), "bad"))
	s.expectVersion("1.0.0")
}

// The image was removed while there were no containers.
func TestMissingImageIsPulledForTheRepair(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	at := privateRegistry(t)
	opts := h.options(h.name)
	opts.Connection.Registries = []Registry{at}
	s := h.newServiceWith(t, opts)
	release := s.release("1.0.0", agenttest.Healthy)
	local := release.Image
	release.Image = at.Address + "/" + local
	s.must(errorOf(h.engine.ImageTag(t.Context(), client.ImageTagOptions{Source: local, Target: release.Image})))
	h.upload(at, release.Image)
	s.makeLive(release)
	for _, instance := range s.instances(bluegreen.Green) {
		h.removeContainer(containerOf(instance.Ref()))
	}
	h.removeImage(local)
	h.removeImage(release.Image)
	s.applyAgain(release)
	s.expectVersion("1.0.0")
}

func TestUnmanagedContainerIsNotChanged(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	name := s.platform.containerName("blue-2")
	config := &container.Config{Image: h.base, Cmd: []string{AgentProgram}}
	made, err := h.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: name, Config: config})
	s.must(err)
	t.Cleanup(func() {
		_, err := h.engine.ContainerRemove(context.Background(), made.ID, client.ContainerRemoveOptions{})
		h.must(err)
	})
	err = s.DeployAndSwitch(t.Context(), s.release("2.0.0", agenttest.Healthy))
	if !isNameConflict(err, "container") || !strings.Contains(err.Error(), name) {
		t.Errorf("got %v", err)
	}
	s.expectVersion("1.0.0")
	if _, err := h.engine.ContainerInspect(t.Context(), made.ID, client.ContainerInspectOptions{}); err != nil {
		t.Errorf("it is gone: %v", err)
	}
}

func TestDeploymentOfAnotherAgentIsNotChanged(t *testing.T) {
	t.Parallel()
	h, other := newHarness(t), newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	second := other.newService(t, h.name)
	desired := bluegreen.Desired{
		Release: other.release("6.6.6", agenttest.Healthy), Promote: true, MinHealthyPercent: 100,
	}
	_, err := second.Create(t.Context(), desired)
	if !isNameConflict(err, "network") {
		t.Errorf("got %v", err)
	}
	s.expectVersion("1.0.0")
}

func TestCrashedReplicaIsRestarted(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	before := s.instances(bluegreen.Green)
	for _, id := range []string{"green-1", "green-2"} {
		s.crash(id)
	}
	s.eventually(func() error {
		if status, body := s.tryGet(); body != "1.0.0" {
			return fmt.Errorf("answered %d %q", status, body)
		}
		return nil
	})
	s.eventually(func() error {
		for i, now := range s.instances(bluegreen.Green) {
			sameContainer := containerOf(now.Ref()) == containerOf(before[i].Ref())
			if !now.Running || !sameContainer || now.Ref() == before[i].Ref() || now.Exit != "exit status 7" {
				return fmt.Errorf("the instance was %v and is %v", before[i], now)
			}
		}
		return nil
	})
}

// errorOf returns the error of a call whose result is not needed.
func errorOf[T any](_ T, err error) error { return err }

func isNameConflict(err error, kind string) bool {
	var conflict *nameConflictError
	return errors.As(err, &conflict) && conflict.Kind == kind
}
