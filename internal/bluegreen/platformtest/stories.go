// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// runStories tells the stories of the engine on the platform behind harness.
func runStories(t *testing.T, h Harness) {
	stories := map[string]func(*world){
		"initial_state":                   initialState,
		"deploy_to_staging":               deployToStaging,
		"switch_after_deploy":             switchAfterDeploy,
		"rollback":                        rollback,
		"deploy_and_switch":               deployAndSwitch,
		"health_check_required":           healthCheckRequired,
		"cannot_deploy_while_busy":        cannotDeployWhileBusy,
		"history_tracking":                historyTracking,
		"cleanup_staging":                 cleanupStaging,
		"switch_without_deploy_fails":     switchWithoutDeployFails,
		"switch_unhealthy_fails":          switchUnhealthyFails,
		"double_switch":                   doubleSwitch,
		"concurrent_safety":               concurrentSafety,
		"rollback_no_previous":            rollbackNoPrevious,
		"deploy_while_busy":               deployWhileBusy,
		"switch_without_health":           switchWithoutHealth,
		"rollback_needs_a_living_standby": rollbackNeedsALivingStandby,
		"rolled_back_is_no_target":        rolledBackIsNoTarget,
		"failed_release_keeps_live":       failedReleaseKeepsLive,
		"crash_ends_the_check":            crashEndsTheCheck,
		"dead_after_the_check":            deadAfterTheCheck,
		"automatic_rollback":              automaticRollback,
		"bake_without_previous":           bakeWithoutPrevious,
		"preview_then_promote":            previewThenPromote,
		"remove_standby":                  removeStandby,
		"scale_up_unhealthy":              scaleUpUnhealthy,
		"interrupted_check":               interruptedCheck,
		"interrupted_watch":               interruptedWatch,
		"create_finds_a_living_one":       createFindsALivingOne,
		"create_fails_clean":              createFailsClean,
		"stale_plan":                      stalePlan,
		"repair":                          repair,
		"secrets_stay_out":                secretsStayOut,
	}
	for name, story := range stories {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story(begin(t, h, deploymentName(t)))
		})
	}
}

func (w *world) healthy(version string) bluegreen.Release { return w.harness.Release(version, Healthy) }

// states fails the test unless the environments are in these states.
func (w *world) states(blue, green bluegreen.State) {
	w.Helper()
	l := w.ledger()
	if l.Blue.State != blue || l.Green.State != green {
		w.Fatalf("blue is %s and green is %s, want %s and %s", l.Blue.State, l.Green.State, blue, green)
	}
}

// statuses fails the test unless the history, newest first, is made of these "ID status".
func (w *world) statuses(want ...string) {
	w.Helper()
	var got []string
	for _, r := range w.history() {
		got = append(got, r.ID+" "+string(r.Status))
	}
	if !slices.Equal(got, want) {
		w.Fatalf("the history is %q, want %q", got, want)
	}
}

// exist makes the deployment exist, with nothing in it.
func (w *world) exist() {
	w.Helper()
	unlock, err := w.process.Lock(w.Context(), w.Actor)
	w.must(err)
	defer unlock()
	l := bluegreen.NewLedger(w.name)
	l.Generation, l.HistoryLimit = 1, 10
	w.must(w.process.Commit(w.Context(), l, nil))
}

func initialState(w *world) {
	w.exist()
	w.states(bluegreen.Idle, bluegreen.Idle)
	if l := w.ledger(); l.Live != bluegreen.Blue || l.Serving() || len(l.Records) != 0 {
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
	if !result.Healthy || result.ChecksPassed != 2 || result.ChecksFailed != 0 || len(result.Details) != 2 {
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

func rollbackNeedsALivingStandby(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	unlock, err := w.process.Lock(w.Context(), "somebody with a shell")
	w.must(err)
	w.must(w.process.Remove(w.Context(), bluegreen.Green))
	unlock()
	w.mustFail(w.Rollback(w.Context(), "to a ghost"), bluegreen.RollbackFailed)
	w.serves("2.0.0")
	w.statuses("deploy-2 live", "deploy-1 superseded")
}

func rolledBackIsNoTarget(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	w.must(w.Rollback(w.Context(), "bad"))
	w.mustFail(w.Rollback(w.Context(), "twice"), bluegreen.RollbackFailed)
	w.serves("1.0.0")
	// Through the health gate it comes back, and then it can be rolled back again.
	w.release("2.0.0")
	w.must(w.Rollback(w.Context(), "still bad"))
	w.serves("1.0.0")
	w.statuses("rollback-5 live", "deploy-4 rolled_back", "rollback-3 superseded", "deploy-2 rolled_back", "deploy-1 superseded")
}

func failedReleaseKeepsLive(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	w.Config.HealthCheckRetries = 0
	err := w.DeployAndSwitch(w.Context(), w.harness.Release("3.0.0", Unhealthy))
	w.mustFail(err, bluegreen.HealthCheckFailed)
	if !strings.Contains(err.Error(), "2 of 2 replicas unhealthy: replica green-1: ") {
		w.Errorf("the error does not say what was seen: %v", err)
	}
	w.serves("2.0.0")
	w.states(bluegreen.Live, bluegreen.Failed)
	if got := w.instances(bluegreen.Green); len(got) != 0 {
		w.Errorf("the failed release still runs: %v", got)
	}
	// The standby was given up for it.
	w.mustFail(w.Rollback(w.Context(), "to 1.0.0"), bluegreen.RollbackFailed)
	w.release("3.0.1")
}

func crashEndsTheCheck(w *world) {
	w.create("1.0.0")
	// Were the crash not noticed, this would take an hour.
	w.Config.HealthCheckTimeout = farAway
	err := w.DeployAndSwitch(w.Context(), w.harness.Release("2.0.0", Crashing))
	w.mustFail(err, bluegreen.HealthCheckFailed)
	var unhealthy *bluegreen.UnhealthyError
	if !errors.As(err, &unhealthy) || !strings.Contains(err.Error(), "exit status 3") {
		w.Fatalf("the error does not say that it exited: %v", err)
	}
	for _, instance := range unhealthy.Instances {
		if instance.Exit != nil && len(instance.Logs) == 0 {
			w.Errorf("the log of %s is missing", instance.Instance.ID)
		}
	}
	w.serves("1.0.0")
}

func deadAfterTheCheck(w *world) {
	w.create("1.0.0")
	w.must(second(w.Deploy(w.Context(), w.healthy("2.0.0"))))
	w.must(second(w.HealthCheck(w.Context())))
	unlock, err := w.process.Lock(w.Context(), "somebody with a shell")
	w.must(err)
	w.must(w.process.Remove(w.Context(), bluegreen.Blue))
	unlock()
	w.mustFail(w.Switch(w.Context()), bluegreen.SwitchFailed)
	w.serves("1.0.0")
}

// whenWatching runs f when the watch over a switched release begins.
func (w *world) whenWatching(f func()) {
	w.Progress = func(message string) {
		if strings.HasPrefix(message, "watching") {
			f()
		}
	}
}

func automaticRollback(w *world) {
	w.create("1.0.0")
	w.Config.BakeTime = farAway
	w.whenWatching(func() { w.harness.Sicken(w, w.name, bluegreen.Blue) })
	err := w.DeployAndSwitch(w.Context(), w.healthy("2.0.0"))
	w.mustFail(err, bluegreen.HealthCheckFailed)
	if !strings.Contains(err.Error(), "traffic is back on 1.0.0") {
		w.Errorf("the error does not say where traffic is: %v", err)
	}
	w.serves("1.0.0")
	w.statuses("rollback-3 live", "deploy-2 rolled_back", "deploy-1 superseded")
	if reason := w.history()[1].Reason; !strings.HasPrefix(reason, "automatic: 2 of 2 replicas unhealthy") {
		w.Errorf("the history gives the reason %q", reason)
	}
}

func bakeWithoutPrevious(w *world) {
	w.Config.BakeTime = farAway
	w.whenWatching(func() { w.harness.Sicken(w, w.name, bluegreen.Green) })
	_, err := w.Create(w.Context(), desired(w.healthy("1.0.0")))
	w.mustFail(err, bluegreen.HealthCheckFailed)
	_, err = w.process.Load(w.Context())
	w.mustFail(err, bluegreen.ErrNotFound)
	w.serves("")
}

func previewThenPromote(w *world) {
	w.create("1.0.0")
	want := desired(w.healthy("2.0.0"))
	want.Promote = false
	for range 2 {
		w.must(second(w.Apply(w.Context(), w.ledger(), want)))
		w.serves("1.0.0")
		w.states(bluegreen.Ready, bluegreen.Live)
		w.statuses("deploy-2 ready", "deploy-1 live")
	}
	want.Promote = true
	w.must(second(w.Apply(w.Context(), w.ledger(), want)))
	w.serves("2.0.0")
	w.statuses("deploy-2 live", "deploy-1 superseded")
}

func removeStandby(w *world) {
	w.create("1.0.0")
	want := desired(w.healthy("2.0.0"))
	want.KeepStandby = false
	warnings, err := w.Apply(w.Context(), w.ledger(), want)
	w.must(errors.Join(append(warnings, err)...))
	w.serves("2.0.0")
	if w.ledger().Green.Release != nil || len(w.instances(bluegreen.Green)) != 0 {
		w.Error("the standby is still there")
	}
}

// refusing is a checker that fails every instance with an ID of its list.
type refusing struct {
	bluegreen.Checker
	ids []string
}

func (r refusing) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	if slices.Contains(r.ids, target.ID()) {
		return bluegreen.Verdict{"refused": errors.New("503")}
	}
	return r.Checker.Await(ctx, target)
}

func scaleUpUnhealthy(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	w.Checker = refusing{w.Checker, []string{"blue-3"}}
	w.mustFail(w.Scale(w.Context(), 3), bluegreen.DeployFailed)
	w.serves("2.0.0")
	l := w.ledger()
	if l.Blue.Release.Replicas != 2 || l.Green.Release.Replicas != 2 || len(w.instances(bluegreen.Blue)) != 2 {
		w.Errorf("the former size is not back: %+v", l)
	}
}

func interruptedCheck(w *world) {
	w.create("1.0.0")
	g := newGate(w.Checker)
	w.Checker = g
	w.Config.HealthCheckTimeout = farAway
	ctx, interrupt := context.WithCancel(w.Context())
	defer interrupt()
	go func() {
		<-g.reached
		interrupt()
	}()
	err := w.DeployAndSwitch(ctx, w.healthy("2.0.0"))
	w.mustFail(err, bluegreen.Interrupted)
	w.serves("1.0.0")
	w.states(bluegreen.Failed, bluegreen.Live)
	if got := w.instances(bluegreen.Blue); len(got) != 0 {
		w.Errorf("the candidate still runs: %v", got)
	}
	if reason := w.history()[0].Reason; reason != "interrupted" {
		w.Errorf("the history gives the reason %q", reason)
	}
}

func interruptedWatch(w *world) {
	w.create("1.0.0")
	ctx, interrupt := context.WithCancel(w.Context())
	defer interrupt()
	w.Config.BakeTime = farAway
	w.whenWatching(interrupt)
	want := desired(w.healthy("2.0.0"))
	_, err := w.Apply(ctx, w.ledger(), want)
	w.mustFail(err, bluegreen.Interrupted)
	w.serves("2.0.0")
	// The next run takes the watch up again, and finds what this one would have found.
	w.whenWatching(func() { w.harness.Sicken(w, w.name, bluegreen.Blue) })
	_, err = w.Apply(w.Context(), w.ledger(), want)
	w.mustFail(err, bluegreen.HealthCheckFailed)
	w.serves("1.0.0")
}

func createFindsALivingOne(w *world) {
	w.create("1.0.0")
	_, err := w.another("other@host (pid 2)").Create(w.Context(), desired(w.healthy("2.0.0")))
	w.mustFail(err, bluegreen.ErrExists)
	w.serves("1.0.0")
}

func createFailsClean(w *world) {
	_, err := w.Create(w.Context(), desired(w.harness.Release("1.0.0", Crashing)))
	w.mustFail(err, bluegreen.HealthCheckFailed)
	_, err = w.process.Load(w.Context())
	w.mustFail(err, bluegreen.ErrNotFound)
	for _, env := range bluegreen.Environments() {
		if got := w.instances(env); len(got) != 0 {
			w.Errorf("something is left in %s: %v", env, got)
		}
	}
	w.create("1.0.1")
}

func stalePlan(w *world) {
	w.create("1.0.0")
	planned := w.ledger()
	w.another("other@host (pid 2)").release("1.1.0")
	_, err := w.Apply(w.Context(), planned, desired(w.healthy("2.0.0")))
	w.mustFail(err, bluegreen.ErrPlanStale)
	w.serves("1.1.0")
}

func repair(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	unlock, err := w.process.Lock(w.Context(), "somebody with a shell")
	w.must(err)
	w.must(w.process.Scale(w.Context(), bluegreen.Blue, 1))
	w.must(w.process.Scale(w.Context(), bluegreen.Green, 1))
	unlock()
	w.must(second(w.Apply(w.Context(), w.ledger(), desired(w.healthy("2.0.0")))))
	for _, env := range bluegreen.Environments() {
		if got := w.instances(env); len(got) != 2 {
			w.Errorf("in %s run %v, want 2 instances", env, got)
		}
	}
	w.serves("2.0.0")
}

func secretsStayOut(w *world) {
	release := w.healthy("1.0.0")
	release.Env = maps.Clone(release.Env)
	release.Env["PASSWORD"] = "correct-horse"
	w.must(second(w.Create(w.Context(), desired(release))))
	release.Version = "2.0.0"
	w.Config.HealthCheckRetries = 0
	w.Checker = refusing{w.Checker, []string{"blue-1", "blue-2"}}
	err := w.DeployAndSwitch(w.Context(), release)
	w.mustFail(err, bluegreen.HealthCheckFailed)
	for what, text := range map[string]string{"ledger": dump(w.ledger()), "history": dump(w.history()), "error": err.Error()} {
		if strings.Contains(text, "correct-horse") {
			w.Errorf("the secret is in the %s: %s", what, text)
		}
	}
}
