// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

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
