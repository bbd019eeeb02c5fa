// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"errors"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// This file holds the scenarios of single operations.

func initialState(p *platformUnderTest) {
	p.createEmpty()
	p.mustHaveStates(bluegreen.Idle, bluegreen.Idle)
	if l := p.ledger(); l.Live != bluegreen.Blue || l.IsServing() || len(l.Records) != 0 {
		p.Errorf("a new deployment is %+v", l)
	}
	p.mustServe("")
}

func deployToStaging(p *platformUnderTest) {
	p.createEmpty()
	env, err := p.Deploy(p.Context(), p.healthy("1.0.0"))
	p.must(err)
	if env != bluegreen.Green {
		p.Errorf("the first release went to %s, want green", env)
	}
	p.mustHaveStates(bluegreen.Idle, bluegreen.Ready)
	p.mustHaveHistory("deploy-1 ready")
	p.mustServe("")
	if got := p.ledger().Green.Release.ImageDigest; got == "" {
		p.Error("the image is not pinned")
	}
}

func switchAfterDeploy(p *platformUnderTest) {
	p.createEmpty()
	p.must(second(p.Deploy(p.Context(), p.healthy("1.0.0"))))
	result, err := p.HealthCheck(p.Context())
	p.must(err)
	// The checker has one check for each replica, and the platform may have one of its own.
	checks := len(result.Details)
	if !result.Healthy || checks < 2 || result.ChecksPassed != checks || result.ChecksFailed != 0 {
		p.Errorf("the evidence is %+v", result)
	}
	p.must(p.Switch(p.Context()))
	p.mustHaveStates(bluegreen.Idle, bluegreen.Live)
	p.mustHaveHistory("deploy-1 live")
	p.mustServe("1.0.0")
}

func rollback(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	p.must(p.Rollback(p.Context(), "2.0.0 is slow"))
	p.mustServe("1.0.0")
	p.mustHaveStates(bluegreen.Idle, bluegreen.Live)
	p.mustHaveHistory("rollback-3 live", "deploy-2 rolled_back", "deploy-1 superseded")
	history := p.history()
	if r := history[1]; r.RolledBackAt == nil || r.Reason != "2.0.0 is slow" {
		p.Errorf("the record of the release that was rolled back is %+v", r)
	}
	if r := history[0]; r.Version != "1.0.0" || r.Operation != bluegreen.OpRollback || r.Actor != p.Actor {
		p.Errorf("the record of the rollback is %+v", r)
	}
}

func deployAndSwitch(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	p.mustHaveStates(bluegreen.Live, bluegreen.Idle)
	p.deployVersion("3.0.0")
	p.mustHaveStates(bluegreen.Idle, bluegreen.Live)
	p.mustHaveHistory("deploy-3 live", "deploy-2 superseded", "deploy-1 superseded")
}

func healthCheckRequired(p *platformUnderTest) {
	p.create("1.0.0")
	p.must(second(p.Deploy(p.Context(), p.healthy("2.0.0"))))
	p.mustFail(p.Switch(p.Context()), bluegreen.InvalidState)
	p.mustServe("1.0.0")
	p.must(second(p.HealthCheck(p.Context())))
	p.must(p.Switch(p.Context()))
	p.mustServe("2.0.0")
}

// gatedChecker is a checker whose checks wait until open is closed. reached is closed
// when the first check begins.
type gatedChecker struct {
	bluegreen.Checker
	reached, open chan struct{}
	once          sync.Once
}

func newGatedChecker(c bluegreen.Checker) *gatedChecker {
	return &gatedChecker{Checker: c, reached: make(chan struct{}), open: make(chan struct{})}
}

func (g *gatedChecker) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	g.once.Do(func() { close(g.reached) })
	select {
	case <-g.open:
		return g.Checker.Await(ctx, target)
	case <-ctx.Done():
		return bluegreen.Verdict{"gate": ctx.Err()}
	}
}

// beginDeploy returns while a deploy of version is in progress. finish ends the deploy.
func (p *platformUnderTest) beginDeploy(version string) (finish func() error) {
	p.Helper()
	g := newGatedChecker(p.Checker)
	p.Checker = g
	p.Config.HealthCheckTimeout = longTimeout
	done := make(chan error, 1)
	go func() { done <- p.DeployAndSwitch(p.Context(), p.healthy(version)) }()
	<-g.reached
	return func() error {
		close(g.open)
		return <-done
	}
}

func cannotDeployWhileBusy(p *platformUnderTest) {
	p.create("1.0.0")
	finish := p.beginDeploy("2.0.0")
	other := p.openAnother("other@host (pid 2)")
	_, err := other.Deploy(p.Context(), p.healthy("3.0.0"))
	p.mustFail(err, bluegreen.EnvironmentBusy)
	var held *bluegreen.LockedError
	if !errors.As(err, &held) || held.Holder.Name != p.Actor {
		p.Errorf("the error does not name the holder: %v", err)
	}
	p.must(finish())
	p.mustServe("2.0.0")
	p.mustHaveHistory("deploy-2 live", "deploy-1 superseded")
}

func historyTracking(p *platformUnderTest) {
	p.Config.HistoryLimit = 3
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	for range 3 {
		err := p.DeployAndSwitch(p.Context(), p.harness.Release("3.0.0", Crashing))
		p.mustFail(err, bluegreen.HealthCheckFailed)
	}
	p.mustHaveHistory("deploy-5 failed", "deploy-4 failed", "deploy-2 live")
	p.deployVersion("4.0.0")
	p.must(p.Rollback(p.Context(), "back"))
	p.mustHaveHistory("rollback-7 live", "deploy-6 rolled_back", "deploy-5 failed")
	for _, r := range p.history() {
		hasReason := r.Status != bluegreen.StatusFailed || r.Reason != ""
		if r.Version == "" || r.Environment == "" || r.Actor != p.Actor || r.DeployedAt.IsZero() || !hasReason {
			p.Errorf("a record is incomplete: %+v", r)
		}
	}
}

func cleanupStaging(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	p.must(p.CleanupStaging(p.Context()))
	p.mustHaveStates(bluegreen.Live, bluegreen.Idle)
	if p.ledger().Green.Release != nil || len(p.instances(bluegreen.Green)) != 0 {
		p.Error("the standby is still there")
	}
	p.mustServe("2.0.0")
	p.mustFail(p.Rollback(p.Context(), "too late"), bluegreen.RollbackFailed)
}

func switchWithoutDeployFails(p *platformUnderTest) {
	p.createEmpty()
	p.mustFail(p.Switch(p.Context()), bluegreen.InvalidState)
	p.mustServe("")
	p.mustHaveStates(bluegreen.Idle, bluegreen.Idle)
}

func switchUnhealthyFails(p *platformUnderTest) {
	p.create("1.0.0")
	p.must(second(p.Deploy(p.Context(), p.harness.Release("2.0.0", Crashing))))
	result, err := p.HealthCheck(p.Context())
	p.mustFail(err, bluegreen.HealthCheckFailed)
	if result.Healthy || result.ChecksFailed == 0 || len(result.Causes) == 0 {
		p.Errorf("the evidence is %+v", result)
	}
	p.mustFail(p.Switch(p.Context()), bluegreen.InvalidState)
	p.mustServe("1.0.0")
	p.mustHaveStates(bluegreen.Failed, bluegreen.Live)
	p.mustHaveHistory("deploy-2 failed", "deploy-1 live")
}

func doubleSwitch(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	p.mustFail(p.Switch(p.Context()), bluegreen.InvalidState)
	p.mustServe("2.0.0")
	p.mustHaveHistory("deploy-2 live", "deploy-1 superseded")
}

func concurrentSafety(p *platformUnderTest) {
	p.create("1.0.0")
	versions := []string{"2.0.0", "3.0.0", "4.0.0", "5.0.0", "6.0.0", "7.0.0"}
	errs := make([]error, len(versions))
	var all sync.WaitGroup
	for i, version := range versions {
		other := p.openAnother("other@host (pid " + version + ")")
		all.Go(func() { errs[i] = other.DeployAndSwitch(p.Context(), p.healthy(version)) })
	}
	all.Wait()
	succeeded := 0
	for _, err := range errs {
		if err == nil {
			succeeded++
			continue
		}
		p.mustFail(err, bluegreen.EnvironmentBusy)
	}
	if succeeded == 0 {
		p.Error("no deploy succeeded")
	}
	l := p.ledger()
	if l.Sequence != succeeded+1 {
		p.Errorf("%d deploys succeeded, and the ledger counts %d", succeeded, l.Sequence-1)
	}
	p.mustServe(l.Slot(l.Live).Release.Version)
}

func rollbackNoPrevious(p *platformUnderTest) {
	p.create("1.0.0")
	err := p.Rollback(p.Context(), "to nothing")
	p.mustFail(err, bluegreen.RollbackFailed)
	p.mustFail(err, bluegreen.ErrNothingToRollBackTo)
	p.mustServe("1.0.0")
	p.mustHaveHistory("deploy-1 live")
}

func deployWhileBusy(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	finish := p.beginDeploy("3.0.0")
	other := p.openAnother("other@host (pid 2)")
	ctx := p.Context()
	for what, err := range map[string]error{
		"deploy and switch": other.DeployAndSwitch(ctx, p.healthy("4.0.0")),
		"health check":      second(other.HealthCheck(ctx)),
		"switch":            other.Switch(ctx),
		"rollback":          other.Rollback(ctx, "now"),
		"cleanup":           other.CleanupStaging(ctx),
		"scale":             other.Scale(ctx, 5),
		"destroy":           other.Destroy(ctx),
	} {
		if !errors.Is(err, bluegreen.EnvironmentBusy) {
			p.Errorf("%s during a deploy: %v, want EnvironmentBusy", what, err)
		}
	}
	p.mustServe("2.0.0")
	p.must(finish())
	p.mustServe("3.0.0")
}

func switchWithoutHealth(p *platformUnderTest) {
	p.createEmpty()
	p.must(second(p.Deploy(p.Context(), p.healthy("1.0.0"))))
	p.mustFail(p.Switch(p.Context()), bluegreen.InvalidState)
	p.mustServe("")
	p.mustHaveStates(bluegreen.Idle, bluegreen.Ready)
	p.mustHaveHistory("deploy-1 ready")
}
