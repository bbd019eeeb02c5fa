// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// The first operation after a restart of the machine may be a rollback. It starts the
// agent and waits for the standby, which the agent starts.
func TestRollbackRightAfterARestartOfTheMachine(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 3)
	s.deployLive("2.0.0", 3)
	agenttest.KillAll(t, s.dir)
	s.must(s.Rollback(t.Context(), "2.0.0 is bad"))
	s.expectVersion("1.0.0")
}

// A promote waits for the preview, and does not lose it.
func TestPromoteRightAfterARestartOfTheMachine(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	release := agenttest.Release(s, "2.0.0", agenttest.Healthy)
	release.Replicas = 3
	s.must(errOf(s.Deploy(t.Context(), release)))
	s.must(errOf(s.HealthCheck(t.Context())))
	agenttest.KillAll(t, s.dir)
	s.must(errOf(s.HealthCheck(t.Context())))
	s.must(s.Switch(t.Context()))
	s.expectVersion("2.0.0")
}
