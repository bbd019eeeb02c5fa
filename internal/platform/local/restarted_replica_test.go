// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// rareInterval is an interval of the health check that no test waits for.
const rareInterval = 10 * time.Minute

func deployRarelyProbed(t *testing.T) *service {
	t.Helper()
	return deployWithUpkeepSettings(t, agenttest.Release(t, "1.0.0", agenttest.Healthy), 2,
		local.Upkeep{Health: health.Config{Interval: rareInterval}})
}

// mustStayReady fails the test if the agent says of a replica of env that it is unhealthy, until
// the replica that was restarted has been probed.
func (s *service) mustStayReady(env bluegreen.Environment) {
	s.Helper()
	// The first probe comes after a second.
	deadline := time.Now().Add(3 * time.Second)
	agenttest.Eventually(s, func() error {
		for _, instance := range s.instances(env) {
			if instance.Running && instance.Unready != "" {
				s.Fatalf("%s is unhealthy: %s", instance.ID, instance.Unready)
			}
		}
		if time.Now().Before(deadline) {
			return errors.New("it may not have been probed yet")
		}
		return nil
	})
}

// A replica that is started again by the agent does not listen at once. That says nothing about
// it, and no probe long before the next one keeps it from the traffic.
func TestRestartedReplicaIsProbedOnceItListens(t *testing.T) {
	t.Parallel()
	s := deployRarelyProbed(t)
	before := s.runs(bluegreen.Green)
	s.signal(2, syscall.SIGKILL)
	s.awaitRestart(before)
	s.mustStayReady(bluegreen.Green)
}

// Nor is it an obstacle for a rollback.
func TestRollbackToARestartedStandby(t *testing.T) {
	t.Parallel()
	s := deployRarelyProbed(t)
	s.deployLive("2.0.0", 1)
	before := s.runs(bluegreen.Green)
	s.signal(1, syscall.SIGKILL)
	s.awaitRestart(before)
	s.must(s.Rollback(t.Context(), "to see"))
	s.expectVersion("1.0.0")
}
