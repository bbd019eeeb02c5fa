// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/dockerapi"
)

// releaseWithHealthcheck returns a healthy release whose image has the command as its
// HEALTHCHECK.
func (h *harness) releaseWithHealthcheck(version, command string) bluegreen.Release {
	h.Helper()
	release := h.release(version, agenttest.Healthy)
	checked := release.Image + "-checked"
	h.buildImage(checked, "FROM "+release.Image+"\nHEALTHCHECK --interval=100ms --retries=1 CMD [\""+command+"\"]", nil)
	release.Image = checked
	return release
}

// untilUnhealthy is a platform that ends the wait for a HEALTHCHECK once the engine has
// reported that it failed. The platform itself waits until the context ends.
type untilUnhealthy struct{ *Platform }

func (u untilUnhealthy) AwaitReady(ctx context.Context, instance bluegreen.Instance) bluegreen.Verdict {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	changes := u.engine.Events(ctx, client.EventsListOptions{Filters: client.Filters{}.
		Add("container", containerOf(instance.Ref())).
		Add("event", string(events.ActionHealthStatus)),
	})
	for {
		verdict := u.Ready(ctx, instance)
		err := verdict[dockerapi.Healthcheck]
		if err != nil && strings.HasPrefix(err.Error(), string(container.Unhealthy)) {
			return verdict
		}
		select {
		case <-changes.Messages:
		case <-ctx.Done():
			return verdict
		}
	}
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

	s.Platform = untilUnhealthy{s.platform}
	s.Config.HealthCheckTimeout, s.Config.HealthCheckRetries = time.Minute, 0
	err = s.DeployAndSwitch(t.Context(), h.releaseWithHealthcheck("2.0.0", "/bin/false"))
	want := "HEALTHCHECK: unhealthy, exit status 1: so it is"
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !contains(err, want) {
		t.Errorf("got %v", err)
	}
	s.expectVersion("1.0.0")
}

// A standby whose HEALTHCHECK fails runs, and a rollback to it is not possible.
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

func TestImageWithoutHealthcheckNeedsTheConfiguredCheckOnly(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	for _, instance := range s.instances(bluegreen.Green) {
		if v := s.platform.AwaitReady(t.Context(), instance); len(v) != 0 {
			t.Errorf("%s has a verdict: %v", instance.ID, v)
		}
	}
}

// A replica whose HEALTHCHECK fails is drift of live. The repair puts another container in
// its place.
func TestRepairReplacesAnUnhealthyContainer(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	release := h.releaseWithHealthcheck("1.0.0", "/bin/true")
	s.makeLive(release)
	before := s.instances(bluegreen.Green)
	s.must(s.platform.Exec(t.Context(), before[0], []string{"/bin/spoil"}))
	s.eventually(func() error {
		status, err := s.platform.Observe(t.Context())
		if err == nil && status.Usable()[bluegreen.Green] != 1 {
			err = fmt.Errorf("%d replicas are usable", status.Usable()[bluegreen.Green])
		}
		return err
	})
	s.applyAgain(release)
	after := s.instances(bluegreen.Green)
	if len(after) != 2 || after[0].Ref() == before[0].Ref() || after[1].Ref() != before[1].Ref() {
		t.Errorf("%+v ran before the repair, and %+v after it", before, after)
	}
	status, err := s.platform.Observe(t.Context())
	if err != nil || status.Usable()[bluegreen.Green] != 2 {
		t.Errorf("the status is %+v, %v", status, err)
	}
}
