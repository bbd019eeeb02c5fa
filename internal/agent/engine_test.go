// SPDX-License-Identifier: MPL-2.0

//go:build unix

package agent

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/containers"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// fakeEngine has a container for each replica that it is asked for.
type fakeEngine struct {
	// restarted is told which replica is restarted.
	restarted func(id string)

	mu         sync.Mutex
	containers map[containers.Replica]*fakeContainer
}

type fakeContainer struct {
	// isUnhealthy is what the HEALTHCHECK finds, and isFailing what a command does.
	isUnhealthy, isFailing atomic.Bool
	restart                func()
}

func newFakeEngine(restarted func(id string)) *fakeEngine {
	return &fakeEngine{restarted: restarted, containers: map[containers.Replica]*fakeContainer{}}
}

func (f *fakeEngine) Check(context.Context) error { return nil }

func (f *fakeEngine) Container(r containers.Replica) container {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.containers[r] == nil {
		f.containers[r] = &fakeContainer{restart: func() { f.restarted(r.ID) }}
	}
	return f.containers[r]
}

// get returns the container of a replica that the agent has asked for.
func (f *fakeEngine) get(r *routed, id string) *fakeContainer {
	r.Helper()
	of := containers.Replica{Container: "first", Deployment: "web", Environment: bluegreen.Green, ID: id}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.containers[of] == nil {
		r.Fatalf("the agent has asked for no container of %s: %v", id, f.containers)
	}
	return f.containers[of]
}

func (c *fakeContainer) Ready(context.Context) bluegreen.Verdict {
	if c.isUnhealthy.Load() {
		return bluegreen.Verdict{"HEALTHCHECK": errors.New("unhealthy, exit status 1: no database")}
	}
	return bluegreen.Verdict{"HEALTHCHECK": nil}
}

func (c *fakeContainer) Exec(_ context.Context, command []string) error {
	if c.isFailing.Load() {
		return fmt.Errorf("exit status %d", len(command))
	}
	return nil
}

func (c *fakeContainer) Restart(context.Context) error {
	c.restart()
	return nil
}

func TestEngineTellsWhichContainersAreUnhealthy(t *testing.T) {
	t.Parallel()
	host := newFakeEngine(nil)
	r := newRoutedBy(t, newTestAgentWith(t, host))
	well, _ := sickServer(t, "green-1")
	sick, _ := sickServer(t, "green-2")
	upkeep := upkeepOf(health.Config{HTTP: &health.HTTP{}, Exec: &health.Exec{Command: []string{"true"}}})
	upkeep.WatchesEngine = true
	r.commitUpkeep(upkeep, well, sick)
	its := host.get(r, "green-2")
	for _, fault := range []*atomic.Bool{&its.isUnhealthy, &its.isFailing} {
		fault.Store(true)
		r.awaitUnhealthy("green-2")
		fault.Store(false)
		r.awaitUnhealthy("")
	}
}

// One unhealthy container is restarted, and the healthy one is not.
func TestUnhealthyContainerIsRestartedByTheEngine(t *testing.T) {
	t.Parallel()
	well, _ := sickServer(t, "green-1")
	sick, isSick := sickServer(t, "green-2")
	host := newFakeEngine(func(id string) {
		if id != "green-2" {
			t.Errorf("%s was restarted", id)
		}
		isSick.Store(false)
	})
	r := newRoutedBy(t, newTestAgentWith(t, host))
	upkeep := upkeepOf(health.Config{HTTP: &health.HTTP{}})
	upkeep.WatchesEngine, upkeep.RestartAfter = true, time.Second
	r.commitUpkeep(upkeep, well, sick)
	isSick.Store(true)
	r.awaitUnhealthy("green-2")
	r.awaitUnhealthy("")
}

// An agent that has the engine for another deployment asks it nothing about this one. Once
// this one asks for the engine, that holds for its standby too.
func TestEngineIsUsedOnlyForDeploymentsThatAskForIt(t *testing.T) {
	t.Parallel()
	host := newFakeEngine(nil)
	r := newRoutedBy(t, newTestAgentWith(t, host))
	well, _ := sickServer(t, "green-1")
	r.commitUpkeep(upkeepOf(health.Config{}), well)
	if len(host.containers) != 0 {
		t.Errorf("the agent has asked for %v", host.containers)
	}
	expectUse := func(watching ...string) {
		t.Helper()
		use, err := r.client.EngineUse(t.Context())
		if err != nil || use.Problem != "" || !slices.Equal(use.Watching, watching) ||
			!slices.Equal(use.Locked, []string{"web"}) {
			t.Errorf("the engine is used as in %+v, %v", use, err)
		}
	}
	expectUse()
	upkeep := upkeepOf(health.Config{})
	upkeep.WatchesEngine = true
	r.commitUpkeep(upkeep, well)
	host.get(r, "green-1")
	expectUse("web")
	r.commitUpkeep(upkeepOf(health.Config{}), well)
	expectUse()
}

func TestAgentWithoutAnEngineSaysSo(t *testing.T) {
	t.Parallel()
	r := newRouted(t)
	well, _ := sickServer(t, "green-1")
	upkeep := upkeepOf(health.Config{HTTP: &health.HTTP{}, Exec: &health.Exec{Command: []string{"true"}}})
	upkeep.WatchesEngine, upkeep.RestartAfter = true, time.Second
	r.commitUpkeep(upkeep, well)
	use, err := r.client.EngineUse(t.Context())
	if err != nil || use.Problem == "" || !slices.Equal(use.Watching, []string{"web"}) {
		t.Errorf("the engine is used as in %+v, %v", use, err)
	}
}
