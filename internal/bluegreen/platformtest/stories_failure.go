// SPDX-License-Identifier: MPL-2.0

package platformtest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The stories of what goes wrong: live is never touched.

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

// What passed has ended, and that what was started in its place works is not proven.
func startedAgainAfterTheCheck(w *world) {
	w.create("1.0.0")
	w.must(second(w.Deploy(w.Context(), w.healthy("2.0.0"))))
	w.must(second(w.HealthCheck(w.Context())))
	passed := w.instances(bluegreen.Blue)
	w.harness.Crash(w, w.name, bluegreen.Blue)
	w.must(second(eventually(w, func() (struct{}, error) {
		for _, now := range w.instances(bluegreen.Blue) {
			if !now.Running || slices.ContainsFunc(passed, func(i bluegreen.Instance) bool { return i.Ref() == now.Ref() }) {
				return struct{}{}, fmt.Errorf("%s has not been started again", now.ID)
			}
		}
		return struct{}{}, nil
	})))
	w.mustFail(w.Switch(w.Context()), bluegreen.SwitchFailed)
	w.serves("1.0.0")
	w.must(second(w.HealthCheck(w.Context())))
	w.must(w.Switch(w.Context()))
	w.serves("2.0.0")
}

// A process dies between starting new replicas and letting traffic to them.
func scaleUpInterrupted(w *world) {
	w.create("1.0.0")
	bigger := w.healthy("1.0.0")
	bigger.Replicas = 3
	victim, commits := w.another("victim@host (pid 2)"), 0
	planned := w.planned()
	victim.Platform = NewFaulty(victim.process, func(_ int, method string) Fault {
		if method != "Commit" {
			return ""
		}
		if commits++; commits < 2 {
			return ""
		}
		return DiesBefore
	}, nil)
	w.mustFail(second(victim.Apply(w.Context(), planned, desired(bigger))), ErrInjected)

	reached := func() (reached int) {
		slot := w.ledger().Slot(bluegreen.Green)
		for _, instance := range w.instances(bluegreen.Green) {
			if w.process.CanReceiveTraffic(slot.Passed, instance.Ref()) {
				reached++
			}
		}
		return reached
	}
	status, err := w.Status(w.Context())
	w.must(err)
	if got := status.Running[bluegreen.Green]; got != reached() {
		w.Errorf("%d replicas are said to run, and traffic can reach %d", got, reached())
	}
	w.must(second(w.Apply(w.Context(), status.Ledger, desired(bigger))))
	if got := reached(); got != 3 {
		w.Errorf("after the next run traffic can reach %d replicas of 3", got)
	}
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
