// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"errors"
	"sync"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The stories of the operations, each for itself.

func initialState(w *world) {
	w.exist()
	w.states(bluegreen.Idle, bluegreen.Idle)
	if l := w.ledger(); l.Live != bluegreen.Blue || l.IsServing() || len(l.Records) != 0 {
		w.Errorf("a new deployment is %+v", l)
	}
	w.serves("")
}

func deployToStaging(w *world) {
	w.exist()
	env, err := w.Deploy(w.Context(), w.healthy("1.0.0"))
	w.must(err)
	if env != bluegreen.Green {
		w.Errorf("the first release went to %s, want green", env)
	}
	w.states(bluegreen.Idle, bluegreen.Ready)
	w.statuses("deploy-1 ready")
	w.serves("")
	if got := w.ledger().Green.Release.ImageDigest; got == "" {
		w.Error("the image is not pinned")
	}
}

func switchAfterDeploy(w *world) {
	w.exist()
	w.must(second(w.Deploy(w.Context(), w.healthy("1.0.0"))))
	result, err := w.HealthCheck(w.Context())
	w.must(err)
	// Of either replica the checker has one check, and the platform may have one of its own.
	if !result.Healthy || len(result.Details) < 2 || result.ChecksPassed != len(result.Details) || result.ChecksFailed != 0 {
		w.Errorf("the evidence is %+v", result)
	}
	w.must(w.Switch(w.Context()))
	w.states(bluegreen.Idle, bluegreen.Live)
	w.statuses("deploy-1 live")
	w.serves("1.0.0")
}

func rollback(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	w.must(w.Rollback(w.Context(), "2.0.0 is slow"))
	w.serves("1.0.0")
	w.states(bluegreen.Idle, bluegreen.Live)
	w.statuses("rollback-3 live", "deploy-2 rolled_back", "deploy-1 superseded")
	history := w.history()
	if r := history[1]; r.RolledBackAt == nil || r.Reason != "2.0.0 is slow" {
		w.Errorf("the record of what was undone is %+v", r)
	}
	if r := history[0]; r.Version != "1.0.0" || r.Operation != bluegreen.OpRollback || r.Actor != w.Actor {
		w.Errorf("the record of the rollback is %+v", r)
	}
}

func deployAndSwitch(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	w.states(bluegreen.Live, bluegreen.Idle)
	w.release("3.0.0")
	w.states(bluegreen.Idle, bluegreen.Live)
	w.statuses("deploy-3 live", "deploy-2 superseded", "deploy-1 superseded")
}

func healthCheckRequired(w *world) {
	w.create("1.0.0")
	w.must(second(w.Deploy(w.Context(), w.healthy("2.0.0"))))
	w.mustFail(w.Switch(w.Context()), bluegreen.InvalidState)
	w.serves("1.0.0")
	w.must(second(w.HealthCheck(w.Context())))
	w.must(w.Switch(w.Context()))
	w.serves("2.0.0")
}

// gate is a checker that lets a check begin only when it is told to.

type gate struct {
	bluegreen.Checker
	reached, open chan struct{}
	once          sync.Once
}

func newGate(c bluegreen.Checker) *gate {
	return &gate{Checker: c, reached: make(chan struct{}), open: make(chan struct{})}
}

func (g *gate) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	g.once.Do(func() { close(g.reached) })
	select {
	case <-g.open:
		return g.Checker.Await(ctx, target)
	case <-ctx.Done():
		return bluegreen.Verdict{"gate": ctx.Err()}
	}
}

// busy leaves the deployment with a deploy of version in progress; finish ends it.

func (w *world) busy(version string) (finish func() error) {
	w.Helper()
	g := newGate(w.Checker)
	w.Checker = g
	w.Config.HealthCheckTimeout = farAway
	done := make(chan error, 1)
	go func() { done <- w.DeployAndSwitch(w.Context(), w.healthy(version)) }()
	<-g.reached
	return func() error {
		close(g.open)
		return <-done
	}
}

func cannotDeployWhileBusy(w *world) {
	w.create("1.0.0")
	finish := w.busy("2.0.0")
	other := w.another("other@host (pid 2)")
	_, err := other.Deploy(w.Context(), w.healthy("3.0.0"))
	w.mustFail(err, bluegreen.EnvironmentBusy)
	var held *bluegreen.HolderError
	if !errors.As(err, &held) || held.Holder.Name != w.Actor {
		w.Errorf("the error does not name the holder: %v", err)
	}
	w.must(finish())
	w.serves("2.0.0")
	w.statuses("deploy-2 live", "deploy-1 superseded")
}

func historyTracking(w *world) {
	w.Config.HistoryLimit = 3
	w.create("1.0.0")
	w.release("2.0.0")
	for range 3 {
		err := w.DeployAndSwitch(w.Context(), w.harness.Release("3.0.0", Crashing))
		w.mustFail(err, bluegreen.HealthCheckFailed)
	}
	w.statuses("deploy-5 failed", "deploy-4 failed", "deploy-2 live")
	w.release("4.0.0")
	w.must(w.Rollback(w.Context(), "back"))
	w.statuses("rollback-7 live", "deploy-6 rolled_back", "deploy-5 failed")
	for _, r := range w.history() {
		if r.Version == "" || r.Environment == "" || r.Actor != w.Actor || r.DeployedAt.IsZero() || (r.Status == bluegreen.StatusFailed && r.Reason == "") {
			w.Errorf("a record is incomplete: %+v", r)
		}
	}
}

func cleanupStaging(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	w.must(w.CleanupStaging(w.Context()))
	w.states(bluegreen.Live, bluegreen.Idle)
	if w.ledger().Green.Release != nil || len(w.instances(bluegreen.Green)) != 0 {
		w.Error("the standby is still there")
	}
	w.serves("2.0.0")
	w.mustFail(w.Rollback(w.Context(), "too late"), bluegreen.RollbackFailed)
}

func switchWithoutDeployFails(w *world) {
	w.exist()
	w.mustFail(w.Switch(w.Context()), bluegreen.InvalidState)
	w.serves("")
	w.states(bluegreen.Idle, bluegreen.Idle)
}

func switchUnhealthyFails(w *world) {
	w.create("1.0.0")
	w.must(second(w.Deploy(w.Context(), w.harness.Release("2.0.0", Crashing))))
	result, err := w.HealthCheck(w.Context())
	w.mustFail(err, bluegreen.HealthCheckFailed)
	if result.Healthy || result.ChecksFailed == 0 || len(result.Causes) == 0 {
		w.Errorf("the evidence is %+v", result)
	}
	w.mustFail(w.Switch(w.Context()), bluegreen.InvalidState)
	w.serves("1.0.0")
	w.states(bluegreen.Failed, bluegreen.Live)
	w.statuses("deploy-2 failed", "deploy-1 live")
}

func doubleSwitch(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	w.mustFail(w.Switch(w.Context()), bluegreen.InvalidState)
	w.serves("2.0.0")
	w.statuses("deploy-2 live", "deploy-1 superseded")
}

func concurrentSafety(w *world) {
	w.create("1.0.0")
	versions := []string{"2.0.0", "3.0.0", "4.0.0", "5.0.0", "6.0.0", "7.0.0"}
	errs := make([]error, len(versions))
	var all sync.WaitGroup
	for i, version := range versions {
		other := w.another("other@host (pid " + version + ")")
		all.Go(func() { errs[i] = other.DeployAndSwitch(w.Context(), w.healthy(version)) })
	}
	all.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		w.mustFail(err, bluegreen.EnvironmentBusy)
	}
	if won == 0 {
		w.Error("nobody got through")
	}
	l := w.ledger()
	if l.Sequence != won+1 {
		w.Errorf("%d deploys succeeded, and the ledger counts %d", won, l.Sequence-1)
	}
	w.serves(l.Slot(l.Live).Release.Version)
}

func rollbackNoPrevious(w *world) {
	w.create("1.0.0")
	err := w.Rollback(w.Context(), "to what?")
	w.mustFail(err, bluegreen.RollbackFailed)
	w.mustFail(err, bluegreen.ErrNothingToRollBackTo)
	w.serves("1.0.0")
	w.statuses("deploy-1 live")
}

func deployWhileBusy(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	finish := w.busy("3.0.0")
	other := w.another("other@host (pid 2)")
	ctx := w.Context()
	for what, err := range map[string]error{
		"deploy and switch": other.DeployAndSwitch(ctx, w.healthy("4.0.0")),
		"health check":      second(other.HealthCheck(ctx)),
		"switch":            other.Switch(ctx),
		"rollback":          other.Rollback(ctx, "now"),
		"cleanup":           other.CleanupStaging(ctx),
		"scale":             other.Scale(ctx, 5),
		"destroy":           other.Destroy(ctx),
	} {
		if !errors.Is(err, bluegreen.EnvironmentBusy) {
			w.Errorf("%s beside a deploy: %v, want EnvironmentBusy", what, err)
		}
	}
	w.serves("2.0.0")
	w.must(finish())
	w.serves("3.0.0")
}

func switchWithoutHealth(w *world) {
	w.exist()
	w.must(second(w.Deploy(w.Context(), w.healthy("1.0.0"))))
	w.mustFail(w.Switch(w.Context()), bluegreen.InvalidState)
	w.serves("")
	w.states(bluegreen.Idle, bluegreen.Ready)
	w.statuses("deploy-1 ready")
}
