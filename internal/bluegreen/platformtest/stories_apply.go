// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The stories of configurations: previews, sizes, interrupts, plans.

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
	ids    []string
	answer string
}

func (r refusing) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	if slices.Contains(r.ids, target.ID()) {
		return bluegreen.Verdict{"refused": errors.New(r.answer)}
	}
	return r.Checker.Await(ctx, target)
}

func scaleUpUnhealthy(w *world) {
	w.create("1.0.0")
	w.release("2.0.0")
	w.Checker = refusing{w.Checker, []string{"blue-3"}, "503"}
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
	// One that says in its answer what it has been told.
	w.Checker = refusing{w.Checker, []string{"blue-1", "blue-2"}, "no database at db:correct-horse"}
	w.Mask = func(text string) string { return strings.ReplaceAll(text, "correct-horse", "***") }
	w.mustFail(w.DeployAndSwitch(w.Context(), release), bluegreen.HealthCheckFailed)
	if reason := w.history()[0].Reason; !strings.Contains(reason, "no database at db:***") {
		w.Errorf("the history gives the reason %q", reason)
	}
	for what, text := range map[string]string{"ledger": dump(w.ledger()), "history": dump(w.history())} {
		if strings.Contains(text, "correct-horse") {
			w.Errorf("the secret is in the %s: %s", what, text)
		}
	}
}
