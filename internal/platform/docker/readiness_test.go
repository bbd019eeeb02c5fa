// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"errors"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// judged returns a release that is healthy and has a HEALTHCHECK of its own.
func (h *harness) releaseWithHealthcheck(version, command string) bluegreen.Release {
	h.Helper()
	release := h.release(version, agenttest.Healthy)
	checked := release.Image + "-checked"
	h.buildImage(checked, "FROM "+release.Image+"\nHEALTHCHECK --interval=100ms --retries=1 CMD [\""+command+"\"]", nil)
	release.Image = checked
	return release
}

func TestHealthcheckOfTheImageMustPass(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.makeLive(h.releaseWithHealthcheck("1.0.0", "/bin/true"))
	ledger, err := s.platform.Load(t.Context())
	s.must(err)
	record, _ := ledger.LiveRecord()
	if !record.Health.Details["green-1 HEALTHCHECK"] || !record.Health.Details["green-1 http"] {
		t.Errorf("the evidence is %+v", record.Health)
	}

	s.Config.HealthCheckTimeout, s.Config.HealthCheckRetries = 5*time.Second, 0
	err = s.DeployAndSwitch(t.Context(), h.releaseWithHealthcheck("2.0.0", "/bin/false"))
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !contains(err, "HEALTHCHECK: unhealthy, exit status 1: so it is") {
		t.Errorf("got %v", err)
	}
	s.expectVersion("1.0.0")
}

// A standby whose HEALTHCHECK fails is there, and is nothing to go back to.
func TestRollbackIsNotAvailableToAnUnhealthyStandby(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.makeLive(h.releaseWithHealthcheck("1.0.0", "/bin/true"))
	s.deployLive("2.0.0")
	available := func() (bool, bluegreen.Status) {
		status, err := s.platform.Observe(t.Context())
		s.must(err)
		return status.CanRollBack(100), status
	}
	if is, status := available(); !is {
		t.Fatalf("no rollback is available: %+v", status)
	}
	standby := s.instances(bluegreen.Green)[0]
	s.must(s.platform.Exec(t.Context(), standby, []string{"/bin/spoil"}))
	s.eventually(func() error {
		if is, _ := available(); is {
			return errors.New("a rollback is available")
		}
		return nil
	})
	if _, status := available(); status.Running[bluegreen.Green] != 2 {
		t.Errorf("%d replicas of the standby run, want 2", status.Running[bluegreen.Green])
	}
	if err := s.Rollback(t.Context(), "to see"); !contains(err, "is not ready: unhealthy") {
		t.Errorf("got %v", err)
	}
	s.expectVersion("2.0.0")
}

func TestImageWithoutHealthcheckIsJudgedByTheChecksAlone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	for _, instance := range s.instances(bluegreen.Green) {
		if v := s.platform.AwaitReady(t.Context(), instance); len(v) != 0 {
			t.Errorf("%s is judged: %v", instance.ID, v)
		}
	}
}
