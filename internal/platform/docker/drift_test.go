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

func TestWhatIsDoneByHandIsSeenAndRepaired(t *testing.T) {
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
	} {
		// All of them: what they are made from is known all the same.
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

func TestContainerMadeAnewGetsNoTrafficUnchecked(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	release := s.deployLive("1.0.0")
	name := s.platform.containerName("green-1")
	former, err := h.engine.ContainerInspect(t.Context(), name, client.ContainerInspectOptions{})
	s.must(err)
	s.must(errorOf(h.engine.ContainerRemove(t.Context(), name, client.ContainerRemoveOptions{Force: true})))
	// Somebody makes it again, down to its labels, but for what it answers.
	config := former.Container.Config
	config.Image = s.release("impostor", agenttest.Healthy).Image
	made, err := h.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: name, Config: config, HostConfig: former.Container.HostConfig})
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

// A repair of the standby died before its new containers were let in: traffic
// would find nobody there.
func TestRollbackNeedsAStandbyThatIsLetIn(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	release := s.deployLive("2.0.0")
	for _, instance := range s.instances(bluegreen.Green) {
		s.must(errorOf(h.engine.ContainerRemove(t.Context(), containerOf(instance.Ref()), client.ContainerRemoveOptions{Force: true})))
	}
	unlock, err := s.platform.Lock(t.Context(), "died")
	s.must(err)
	s.must(s.platform.Scale(t.Context(), bluegreen.Green, 2))
	unlock()
	if got := s.running(); got != [2]int{2, 0} {
		t.Errorf("%v are said to run", got)
	}
	if err := s.Rollback(t.Context(), "bad"); !errors.Is(err, bluegreen.RollbackFailed) || !contains(err, "does not receive traffic yet") {
		t.Errorf("the rollback ended with: %v", err)
	}
	s.expectVersion("2.0.0")
	s.applyAgain(release)
	s.must(s.Rollback(t.Context(), "bad"))
	s.expectVersion("1.0.0")
}

// Somebody pruned the host while the containers were stopped.
func TestImageThatIsGoneIsPulledForTheRepair(t *testing.T) {
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
		s.must(errorOf(h.engine.ContainerRemove(t.Context(), containerOf(instance.Ref()), client.ContainerRemoveOptions{Force: true})))
	}
	h.removeImage(local)
	h.removeImage(release.Image)
	s.applyAgain(release)
	s.expectVersion("1.0.0")
}

func TestForeignContainerIsLeftAlone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	name := s.platform.containerName("blue-2")
	made, err := h.engine.ContainerCreate(t.Context(), client.ContainerCreateOptions{Name: name, Config: &container.Config{Image: h.base, Cmd: []string{AgentProgram}}})
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

func TestDeploymentsOfOtherAgentsAreForeign(t *testing.T) {
	t.Parallel()
	h, other := newHarness(t), newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	rival := other.newService(t, h.name)
	_, err := rival.Create(t.Context(), bluegreen.Desired{Release: other.release("6.6.6", agenttest.Healthy), Promote: true, MinHealthyPercent: 100})
	if !isNameConflict(err, "network") {
		t.Errorf("got %v", err)
	}
	s.expectVersion("1.0.0")
}

func TestReplicaThatDiesComesBackByItself(t *testing.T) {
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
			if !now.Running || containerOf(now.Ref()) != containerOf(before[i].Ref()) || now.Ref() == before[i].Ref() || now.Exit != "exit status 7" {
				return fmt.Errorf("the instance was %v and is %v", before[i], now)
			}
		}
		return nil
	})
}

func errorOf[T any](_ T, err error) error { return err }

func isNameConflict(err error, kind string) bool {
	var foreign *NameConflictError
	return errors.As(err, &foreign) && foreign.Kind == kind
}
