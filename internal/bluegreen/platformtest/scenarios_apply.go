// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// This file holds the scenarios of Create and Apply: previews, sizes, interrupts, plans.

func previewThenPromote(p *platformUnderTest) {
	p.create("1.0.0")
	want := desired(p.healthy("2.0.0"))
	want.Promote = false
	for range 2 {
		p.must(second(p.Apply(p.Context(), p.ledger(), want)))
		p.mustServe("1.0.0")
		p.mustHaveStates(bluegreen.Ready, bluegreen.Live)
		p.mustHaveHistory("deploy-2 ready", "deploy-1 live")
	}
	want.Promote = true
	p.must(second(p.Apply(p.Context(), p.ledger(), want)))
	p.mustServe("2.0.0")
	p.mustHaveHistory("deploy-2 live", "deploy-1 superseded")
}

func removeStandby(p *platformUnderTest) {
	p.create("1.0.0")
	want := desired(p.healthy("2.0.0"))
	want.KeepStandby = false
	warnings, err := p.Apply(p.Context(), p.ledger(), want)
	p.must(errors.Join(append(warnings, err)...))
	p.mustServe("2.0.0")
	if p.ledger().Green.Release != nil || len(p.instances(bluegreen.Green)) != 0 {
		p.Error("the standby is still there")
	}
}

// refusingChecker is a checker that fails every instance with an ID of its list.
type refusingChecker struct {
	bluegreen.Checker
	ids    []string
	answer string
}

func (r refusingChecker) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	if slices.Contains(r.ids, target.ID()) {
		return bluegreen.Verdict{"refused": errors.New(r.answer)}
	}
	return r.Checker.Await(ctx, target)
}

func scaleUpUnhealthy(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	p.Checker = refusingChecker{p.Checker, []string{"blue-3"}, "503"}
	p.mustFail(p.Scale(p.Context(), 3), bluegreen.DeployFailed)
	p.mustServe("2.0.0")
	l := p.ledger()
	if l.Blue.Release.Replicas != 2 || l.Green.Release.Replicas != 2 || len(p.instances(bluegreen.Blue)) != 2 {
		p.Errorf("the former size is not back: %+v", l)
	}
}

func interruptedCheck(p *platformUnderTest) {
	p.create("1.0.0")
	g := newGatedChecker(p.Checker)
	p.Checker = g
	p.Config.HealthCheckTimeout = longTimeout
	ctx, interrupt := context.WithCancel(p.Context())
	defer interrupt()
	go func() {
		<-g.reached
		interrupt()
	}()
	err := p.DeployAndSwitch(ctx, p.healthy("2.0.0"))
	p.mustFail(err, bluegreen.Interrupted)
	p.mustServe("1.0.0")
	p.mustHaveStates(bluegreen.Failed, bluegreen.Live)
	if got := p.instances(bluegreen.Blue); len(got) != 0 {
		p.Errorf("the failed release still runs: %v", got)
	}
	if reason := p.history()[0].Reason; reason != "interrupted" {
		p.Errorf("the history gives the reason %q", reason)
	}
}

func interruptedWatch(p *platformUnderTest) {
	p.create("1.0.0")
	ctx, interrupt := context.WithCancel(p.Context())
	defer interrupt()
	p.Config.BakeTime = longTimeout
	p.whenWatching(interrupt)
	want := desired(p.healthy("2.0.0"))
	_, err := p.Apply(ctx, p.ledger(), want)
	p.mustFail(err, bluegreen.Interrupted)
	p.mustServe("2.0.0")
	// The next run watches again, and rolls back as this one would have done.
	p.whenWatching(func() { p.harness.MakeUnhealthy(p, p.name, bluegreen.Blue) })
	_, err = p.Apply(p.Context(), p.ledger(), want)
	p.mustFail(err, bluegreen.HealthCheckFailed)
	p.mustServe("1.0.0")
}

func createFindsAnExistingOne(p *platformUnderTest) {
	p.create("1.0.0")
	_, err := p.openAnother("other@host (pid 2)").Create(p.Context(), desired(p.healthy("2.0.0")))
	p.mustFail(err, bluegreen.ErrExists)
	p.mustServe("1.0.0")
}

func createFailsAndLeavesNothing(p *platformUnderTest) {
	_, err := p.Create(p.Context(), desired(p.harness.Release("1.0.0", Crashing)))
	p.mustFail(err, bluegreen.HealthCheckFailed)
	_, err = p.process.Load(p.Context())
	p.mustFail(err, bluegreen.ErrNotFound)
	for _, env := range bluegreen.Environments() {
		if got := p.instances(env); len(got) != 0 {
			p.Errorf("something is left in %s: %v", env, got)
		}
	}
	p.create("1.0.1")
}

func stalePlan(p *platformUnderTest) {
	p.create("1.0.0")
	planned := p.ledger()
	p.openAnother("other@host (pid 2)").deployVersion("1.1.0")
	_, err := p.Apply(p.Context(), planned, desired(p.healthy("2.0.0")))
	p.mustFail(err, bluegreen.ErrPlanStale)
	p.mustServe("1.1.0")
}

func repair(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	unlock, err := p.process.Lock(p.Context(), "an operator with a shell")
	p.must(err)
	p.must(p.process.Scale(p.Context(), bluegreen.Blue, 1))
	p.must(p.process.Scale(p.Context(), bluegreen.Green, 1))
	unlock()
	p.must(second(p.Apply(p.Context(), p.ledger(), desired(p.healthy("2.0.0")))))
	for _, env := range bluegreen.Environments() {
		if got := p.instances(env); len(got) != 2 {
			p.Errorf("in %s run %v, want 2 instances", env, got)
		}
	}
	p.mustServe("2.0.0")
}

func secretsStayOut(p *platformUnderTest) {
	release := p.healthy("1.0.0")
	release.Env = maps.Clone(release.Env)
	release.Env["PASSWORD"] = "correct-horse"
	p.must(second(p.Create(p.Context(), desired(release))))
	release.Version = "2.0.0"
	p.Config.HealthCheckRetries = 0
	// This release repeats the secret in its answer to the check.
	p.Checker = refusingChecker{p.Checker, []string{"blue-1", "blue-2"}, "no database at db:correct-horse"}
	p.Mask = func(text string) string { return strings.ReplaceAll(text, "correct-horse", "***") }
	p.mustFail(p.DeployAndSwitch(p.Context(), release), bluegreen.HealthCheckFailed)
	if reason := p.history()[0].Reason; !strings.Contains(reason, "no database at db:***") {
		p.Errorf("the history gives the reason %q", reason)
	}
	for what, text := range map[string]string{"ledger": dump(p.ledger()), "history": dump(p.history())} {
		if strings.Contains(text, "correct-horse") {
			p.Errorf("the %s contains the secret: %s", what, text)
		}
	}
}

// Nobody can find out a PIN from the ledger and the history by trying all PINs. A process
// that knows only what the platform stores still recognizes the release.
func shortSecretsCannotBeGuessed(p *platformUnderTest) {
	withPIN := func(version, pin string) bluegreen.Release {
		release := p.healthy(version)
		release.Env = maps.Clone(release.Env)
		release.Env["PIN"] = pin
		return release
	}
	p.must(second(p.Create(p.Context(), desired(withPIN("1.0.0", "1234")))))
	p.must(p.DeployAndSwitch(p.Context(), withPIN("2.0.0", "1234")))
	p.must(p.Rollback(p.Context(), "to see"))
	p.must(p.DeployAndSwitch(p.Context(), withPIN("2.0.1", "1234")))

	other := p.openAnother("other@host (pid 2)")
	ledger := other.ledger()
	known := dump(ledger) + dump(other.history())
	for pin := range 10_000 {
		for _, version := range []string{"1.0.0", "2.0.0", "2.0.1"} {
			guess := withPIN(version, fmt.Sprintf("%04d", pin))
			if strings.Contains(known, guess.Seal("").Fingerprint) {
				p.Fatalf("the ledger gives the PIN of %s away: %s", version, guess.Env["PIN"])
			}
		}
	}
	if ledger.Key == "" || strings.Contains(known, string(ledger.Key)) {
		p.Error("the ledger has no key, or contains it")
	}
	status, err := other.Status(p.Context())
	p.must(err)
	for pin, want := range map[string]int{"1234": 0, "1235": 1} {
		steps, err := ledger.Next(desired(withPIN("2.0.1", pin)), status.Usable())
		if err != nil || len(steps) != want {
			p.Errorf("with the PIN %s the plan is %v, %v", pin, steps, err)
		}
	}
}
