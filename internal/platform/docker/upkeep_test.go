// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// One of four containers falls sick. Clients notice it for no longer than the health check
// needs.
func TestClientsNoticeASickContainerForShort(t *testing.T) {
	t.Parallel()
	const (
		threshold, probeTimeout = 2, time.Second
		bound                   = threshold*time.Second + probeTimeout
		// busyTime is what a busy machine may add to that.
		busyTime = 10 * time.Second
	)
	h := newHarness(t)
	release := h.release("1.0.0", agenttest.Healthy)
	release.Replicas = 4
	opts := h.options(h.name)
	opts.Upkeep = &Upkeep{
		Release: release, UnhealthyThreshold: threshold,
		Health: health.Config{HTTP: &health.HTTP{}, ProbeTimeout: probeTimeout},
	}
	s := h.newServiceWith(t, opts)
	s.makeLive(release)
	sick := s.instances(bluegreen.Green)[1]
	container := s.platform.containerName(sick.ID)
	hostname := h.inspect(container).Container.Config.Hostname
	ask := func(path string) func() error {
		return func() error { return agenttest.Ask(t.Context(), s.platform, sick, path) }
	}
	for _, c := range []struct {
		name         string
		sicken, heal func() error
	}{
		{"answers 503", ask("/sicken"), ask("/heal")},
		{"hangs up", ask("/hangup"), ask("/heal")},
		{
			"is paused",
			func() error {
				_, err := h.engine.ContainerPause(t.Context(), container, client.ContainerPauseOptions{})
				return err
			},
			func() error {
				_, err := h.engine.ContainerUnpause(t.Context(), container, client.ContainerUnpauseOptions{})
				return err
			},
		},
	} {
		agenttest.Eventually(t, func() error {
			if _, name := get(t, s.endpoint()+"/env?HOSTNAME"); name != hostname {
				return errors.New("another container answers")
			}
			return nil
		})
		s.must(c.sicken())
		began := time.Now()
		last := agenttest.AwaitNoFailure(t, s.endpoint())
		if took := last.Sub(began); took < 0 || took > bound+agenttest.Patience+busyTime {
			t.Errorf("%s: requests failed for %s", c.name, took)
		} else {
			t.Logf("%s: requests failed for %s; the bound is %s and a client's timeout",
				c.name, took.Round(time.Millisecond), bound)
		}
		if again := agenttest.AwaitNoFailure(t, s.endpoint()); !again.IsZero() {
			t.Errorf("%s: a request failed after the container had left the traffic", c.name)
		}
		s.must(c.heal())
		agenttest.Eventually(t, func() error {
			status, err := s.platform.Observe(t.Context())
			if err == nil && status.Running[bluegreen.Green]-status.Unready[bluegreen.Green] != release.Replicas {
				err = fmt.Errorf("%d containers run, %d of them unready",
					status.Running[bluegreen.Green], status.Unready[bluegreen.Green])
			}
			return err
		})
	}
}

// The agent takes a container out of the traffic that fails the health check, although it
// has no HEALTHCHECK, and the status counts it as not ready until it is well.
func TestSickContainerLeavesTheTraffic(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	release := h.release("1.0.0", agenttest.Healthy)
	opts := h.options(h.name)
	opts.Upkeep = &Upkeep{
		Release: release, Health: health.Config{HTTP: &health.HTTP{}}, UnhealthyThreshold: 2,
	}
	s := h.newServiceWith(t, opts)
	s.makeLive(release)
	sick := s.instances(bluegreen.Green)[0]
	s.must(agenttest.Ask(t.Context(), s.platform, sick, "/sicken"))
	awaitUnready := func(want int) {
		agenttest.Eventually(t, func() error {
			status, err := s.platform.Observe(t.Context())
			if err == nil && status.Unready[bluegreen.Green] != want {
				err = fmt.Errorf("%d containers count as unhealthy, want %d", status.Unready[bluegreen.Green], want)
			}
			return err
		})
	}
	awaitUnready(1)
	if cause := s.instances(bluegreen.Green)[0].Unready; cause == "" {
		t.Error("the list of instances does not say so")
	}
	for range 8 {
		if status, body := get(t, s.endpoint()); status != http.StatusOK {
			t.Errorf("a client is answered %d %s", status, body)
		}
	}
	s.must(agenttest.Ask(t.Context(), s.platform, sick, "/heal"))
	awaitUnready(0)
}
