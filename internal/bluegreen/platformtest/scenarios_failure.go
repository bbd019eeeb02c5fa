// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// This file holds the scenarios in which something fails. Live is never touched.

func rollbackNeedsARunningStandby(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	unlock, err := p.process.Lock(p.Context(), "an operator with a shell")
	p.must(err)
	p.must(p.process.Remove(p.Context(), bluegreen.Green))
	unlock()
	p.mustFail(p.Rollback(p.Context(), "to a removed standby"), bluegreen.RollbackFailed)
	p.mustServe("2.0.0")
	p.mustHaveHistory("deploy-2 live", "deploy-1 superseded")
}

func rollbackNeedsAHealthyStandby(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	p.harness.MakeUnhealthy(p, p.name, bluegreen.Green)
	before := p.ledger()
	err := p.Rollback(p.Context(), "to a standby that does not work")
	p.mustFail(err, bluegreen.RollbackFailed)
	for _, replica := range []string{"green-1", "green-2"} {
		if !strings.Contains(err.Error(), "replica "+replica) {
			p.Errorf("the error does not name %s: %v", replica, err)
		}
	}
	p.mustServe("2.0.0")
	if after := p.ledger(); after.Generation != before.Generation {
		p.Errorf("the ledger was written: generation %d, then %d", before.Generation, after.Generation)
	}
	p.Config.RollbackCheck = false
	p.must(p.Rollback(p.Context(), "2.0.0 is worse"))
	p.mustHaveHistory("rollback-3 live", "deploy-2 rolled_back", "deploy-1 superseded")
}

func automaticRollbackNeedsAHealthyStandby(p *platformUnderTest) {
	p.create("1.0.0")
	p.Config.BakeTime = longTimeout
	p.whenWatching(func() {
		p.harness.MakeUnhealthy(p, p.name, bluegreen.Green)
		p.harness.MakeUnhealthy(p, p.name, bluegreen.Blue)
	})
	err := p.DeployAndSwitch(p.Context(), p.healthy("2.0.0"))
	p.mustFail(err, bluegreen.HealthCheckFailed)
	for _, text := range []string{"replica blue-1", "replica green-1", "2.0.0 stays live"} {
		if !strings.Contains(err.Error(), text) {
			p.Errorf("the error does not say %q: %v", text, err)
		}
	}
	p.mustHaveHistory("deploy-2 live", "deploy-1 superseded")
}

// takenBackStaysBack: what the watch took out of service is not deployed again by the
// next apply of the same configuration.
func takenBackStaysBack(p *platformUnderTest) {
	p.create("1.0.0")
	p.Config.BakeTime = longTimeout
	p.whenWatching(func() { p.harness.MakeUnhealthy(p, p.name, bluegreen.Blue) })
	want := desired(p.healthy("2.0.0"))
	_, err := p.Apply(p.Context(), p.ledger(), want)
	p.mustFail(err, bluegreen.HealthCheckFailed)
	before := p.ledger()
	_, err = p.Apply(p.Context(), before, want)
	var rolledBack *bluegreen.RolledBackError
	if !errors.As(err, &rolledBack) || rolledBack.Record != "deploy-2" {
		p.Fatalf("the same configuration applied again: %v", err)
	}
	p.mustServe("1.0.0")
	if after := p.ledger(); after.Generation != before.Generation {
		p.Errorf("the ledger was written: generation %d, then %d", before.Generation, after.Generation)
	}
	p.Config.BakeTime = 0
	p.deployVersion("2.0.1")
}

func rolledBackReleaseIsNoTarget(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	p.must(p.Rollback(p.Context(), "bad"))
	p.mustFail(p.Rollback(p.Context(), "twice"), bluegreen.RollbackFailed)
	p.mustServe("1.0.0")
	// Deployed again and checked, it can be rolled back again.
	p.deployVersion("2.0.0")
	p.must(p.Rollback(p.Context(), "still bad"))
	p.mustServe("1.0.0")
	p.mustHaveHistory("rollback-5 live", "deploy-4 rolled_back", "rollback-3 superseded",
		"deploy-2 rolled_back", "deploy-1 superseded")
}

func failedReleaseKeepsLive(p *platformUnderTest) {
	p.create("1.0.0")
	p.deployVersion("2.0.0")
	p.Config.HealthCheckRetries = 0
	err := p.DeployAndSwitch(p.Context(), p.harness.Release("3.0.0", Unhealthy))
	p.mustFail(err, bluegreen.HealthCheckFailed)
	if !strings.Contains(err.Error(), "2 of 2 replicas unhealthy: replica green-1: ") {
		p.Errorf("the error does not say what was seen: %v", err)
	}
	p.mustServe("2.0.0")
	p.mustHaveStates(bluegreen.Live, bluegreen.Failed)
	if got := p.instances(bluegreen.Green); len(got) != 0 {
		p.Errorf("the failed release still runs: %v", got)
	}
	// Deploying it has replaced the standby.
	p.mustFail(p.Rollback(p.Context(), "to 1.0.0"), bluegreen.RollbackFailed)
	p.deployVersion("3.0.1")
}

func crashEndsTheCheck(p *platformUnderTest) {
	p.create("1.0.0")
	// If the crash were not noticed, this would take an hour.
	p.Config.HealthCheckTimeout = longTimeout
	err := p.DeployAndSwitch(p.Context(), p.harness.Release("2.0.0", Crashing))
	p.mustFail(err, bluegreen.HealthCheckFailed)
	var unhealthy *bluegreen.UnhealthyError
	if !errors.As(err, &unhealthy) || !strings.Contains(err.Error(), "exit status 3") {
		p.Fatalf("the error does not say that it exited: %v", err)
	}
	for _, instance := range unhealthy.Instances {
		if instance.Exit != nil && len(instance.Logs) == 0 {
			p.Errorf("the log of %s is missing", instance.Instance.ID)
		}
	}
	p.mustServe("1.0.0")
}

func removedAfterTheCheck(p *platformUnderTest) {
	p.create("1.0.0")
	p.must(second(p.Deploy(p.Context(), p.healthy("2.0.0"))))
	p.must(second(p.HealthCheck(p.Context())))
	unlock, err := p.process.Lock(p.Context(), "an operator with a shell")
	p.must(err)
	p.must(p.process.Remove(p.Context(), bluegreen.Blue))
	unlock()
	p.mustFail(p.Switch(p.Context()), bluegreen.SwitchFailed)
	p.mustServe("1.0.0")
}

// restartedAfterTheCheck: the instances that passed have exited, and the ones that were
// started in their place have not been checked.
func restartedAfterTheCheck(p *platformUnderTest) {
	p.create("1.0.0")
	p.must(second(p.Deploy(p.Context(), p.healthy("2.0.0"))))
	p.must(second(p.HealthCheck(p.Context())))
	passed := p.instances(bluegreen.Blue)
	p.harness.Crash(p, p.name, bluegreen.Blue)
	p.must(second(eventually(p, func() (struct{}, error) {
		for _, now := range p.instances(bluegreen.Blue) {
			sameRun := func(i bluegreen.Instance) bool { return i.Ref() == now.Ref() }
			if !now.Running || slices.ContainsFunc(passed, sameRun) {
				return struct{}{}, fmt.Errorf("%s has not been started again", now.ID)
			}
		}
		return struct{}{}, nil
	})))
	p.mustFail(p.Switch(p.Context()), bluegreen.SwitchFailed)
	p.mustServe("1.0.0")
	p.must(second(p.HealthCheck(p.Context())))
	p.must(p.Switch(p.Context()))
	p.mustServe("2.0.0")
}

// scaleUpInterrupted: a process dies after it has started new replicas and before it
// lets them receive traffic.
func scaleUpInterrupted(p *platformUnderTest) {
	p.create("1.0.0")
	bigger := p.healthy("1.0.0")
	bigger.Replicas = 3
	faultyProcess, commits := p.openAnother("faulty@host (pid 2)"), 0
	planned := p.planned()
	faultyProcess.Platform = NewFaulty(faultyProcess.process, func(_ int, method string) Fault {
		if method != "Commit" {
			return ""
		}
		if commits++; commits < 2 {
			return ""
		}
		return DiesBefore
	}, nil)
	p.mustFail(second(faultyProcess.Apply(p.Context(), planned, desired(bigger))), ErrInjected)

	reachable := func() (n int) {
		slot := p.ledger().Slot(bluegreen.Green)
		for _, instance := range p.instances(bluegreen.Green) {
			if p.process.CanReceiveTraffic(slot.Passed, instance.Ref()) {
				n++
			}
		}
		return n
	}
	status, err := p.Status(p.Context())
	p.must(err)
	if got := status.Running[bluegreen.Green]; got != reachable() {
		p.Errorf("the status counts %d replicas, and traffic can reach %d", got, reachable())
	}
	p.must(second(p.Apply(p.Context(), status.Ledger, desired(bigger))))
	if got := reachable(); got != 3 {
		p.Errorf("after the next run traffic can reach %d replicas of 3", got)
	}
	p.mustServe("1.0.0")
}

// whenWatching calls f when the watch after a switch begins.
func (p *platformUnderTest) whenWatching(f func()) {
	p.Progress = func(message string) {
		if strings.HasPrefix(message, "watching") {
			f()
		}
	}
}

func automaticRollback(p *platformUnderTest) {
	p.create("1.0.0")
	p.Config.BakeTime = longTimeout
	p.whenWatching(func() { p.harness.MakeUnhealthy(p, p.name, bluegreen.Blue) })
	err := p.DeployAndSwitch(p.Context(), p.healthy("2.0.0"))
	p.mustFail(err, bluegreen.HealthCheckFailed)
	if !strings.Contains(err.Error(), "traffic is back on 1.0.0") {
		p.Errorf("the error does not say where traffic is: %v", err)
	}
	p.mustServe("1.0.0")
	p.mustHaveHistory("rollback-3 live", "deploy-2 rolled_back", "deploy-1 superseded")
	if reason := p.history()[1].Reason; !strings.HasPrefix(reason, "automatic: 2 of 2 replicas unhealthy") {
		p.Errorf("the history gives the reason %q", reason)
	}
}

func watchOfTheFirstRelease(p *platformUnderTest) {
	p.Config.BakeTime = longTimeout
	p.whenWatching(func() { p.harness.MakeUnhealthy(p, p.name, bluegreen.Green) })
	_, err := p.Create(p.Context(), desired(p.healthy("1.0.0")))
	p.mustFail(err, bluegreen.HealthCheckFailed)
	_, err = p.process.Load(p.Context())
	p.mustFail(err, bluegreen.ErrNotFound)
	p.mustServe("")
}
