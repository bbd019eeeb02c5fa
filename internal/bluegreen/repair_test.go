// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A repair ends when traffic reaches live.
func TestRepairWaitsForTheTraffic(t *testing.T) {
	h := newAutoscaledHarness(t)
	h.memory.Autoscale(deployment, bluegreen.Green, 0)
	ledger, err := h.Platform.Load(t.Context())
	h.must(err)
	working := h.Platform
	h.Platform = misroutedPlatform{working}
	if _, err := h.Apply(t.Context(), ledger, h.desired("1.0.0")); !errors.Is(err, errMisrouted) {
		t.Errorf("the repair ended with: %v", err)
	}
	h.Platform = working
	h.apply(h.desired("1.0.0"))
	h.mustHaveSizes(0, 1)
}

// If the workload of live was removed, it is provisioned again from the configuration.
// A standby whose workload was removed is given up, because its configuration is gone.
func TestRepairOfARemovedWorkload(t *testing.T) {
	h := newAutoscaledHarness(t)
	h.memory.Autoscale(deployment, bluegreen.Green, 2)
	h.apply(h.desired("2.0.0"))
	h.memory.RemoveWorkload(deployment, bluegreen.Blue)
	h.apply(h.desired("2.0.0"))
	h.mustHaveSizes(2, 2)
	if got := h.memory.Serves(t, deployment); got != "2.0.0" {
		t.Errorf("a client is answered with %q", got)
	}
	h.memory.RemoveWorkload(deployment, bluegreen.Green)
	h.apply(h.desired("2.0.0"))
	h.mustHaveSizes(2, 0)
	h.mustBeAsDesired(h.desired("2.0.0"))
}

// A preview whose workload was removed is deployed again, because it is configured.
func TestRepairOfARemovedPreview(t *testing.T) {
	h := newAutoscaledHarness(t)
	next := h.desired("2.0.0")
	next.Promote = false
	h.apply(next)
	h.memory.RemoveWorkload(deployment, bluegreen.Blue)
	h.apply(next)
	h.mustHaveSizes(1, 1)
	h.mustBeAsDesired(next)
	next.Promote = true
	h.apply(next)
	if got := h.memory.Serves(t, deployment); got != "2.0.0" {
		t.Errorf("a client is answered with %q", got)
	}
}

// A release that is live and not configured cannot be provisioned again.
func TestRepairOfARemovedWorkloadThatIsNotConfigured(t *testing.T) {
	h := newAutoscaledHarness(t)
	h.apply(h.desired("2.0.0"))
	back := h.desired("2.0.0")
	back.Rollback = true
	h.apply(back)
	h.memory.RemoveWorkload(deployment, bluegreen.Green)
	ledger, err := h.Platform.Load(t.Context())
	h.must(err)
	if _, err := h.Apply(t.Context(), ledger, back); !errors.Is(err, bluegreen.ErrNotProvisioned) {
		t.Errorf("the repair ended with: %v", err)
	}
}

// A standby that was rolled back, or that is to be removed, cannot be rolled back to
// and is not repaired.
func TestStandbyThatIsNoRollbackTargetIsNotRepaired(t *testing.T) {
	h := newHarness(t)
	back, removed, kept := desired(h.release("2.0.0")), desired(h.release("2.0.0")), desired(h.release("2.0.0"))
	removed.KeepStandby = false
	lost := map[bluegreen.Environment]int{bluegreen.Blue: 2}
	for want, c := range map[bluegreen.Step]bluegreen.Desired{
		bluegreen.StepRepair: kept, bluegreen.StepRemoveStandby: removed,
	} {
		if steps, err := h.ledger().Next(c, lost); err != nil || !slices.Equal(steps, []bluegreen.Step{want}) {
			t.Errorf("the steps are %v, %v, want %s", steps, err, want)
		}
	}
	if err := h.Rollback(t.Context(), "it is bad"); err != nil {
		t.Fatal(err)
	}
	back.Rollback = true
	lost = map[bluegreen.Environment]int{bluegreen.Green: 2}
	if steps, err := h.ledger().Next(back, lost); err != nil || len(steps) > 0 {
		t.Errorf("after the rollback the steps are %v, %v", steps, err)
	}
}

// An instance of live that runs and is not ready is drift, and an apply starts it again.
// One of the standby is no drift.
func TestRepairStartsUnreadyInstancesAgain(t *testing.T) {
	h := newHarness(t)
	next := func() []bluegreen.Step {
		status, err := h.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		steps, err := status.Ledger.Next(desired(h.release("2.0.0")), status.Usable())
		if err != nil {
			t.Fatal(err)
		}
		return steps
	}
	h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Green)
	if steps := next(); len(steps) != 0 {
		t.Errorf("an unready standby leads to %v", steps)
	}
	h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Blue)
	if steps := next(); !slices.Equal(steps, []bluegreen.Step{bluegreen.StepRepair}) {
		t.Errorf("unready instances of live lead to %v", steps)
	}
	if err := h.apply("2.0.0"); err != nil {
		t.Fatal(err)
	}
	if steps := next(); len(steps) != 0 {
		t.Errorf("after the repair there is still %v", steps)
	}
	h.mustServe("2.0.0")
}

// unreadyWhenScaled is a platform whose live instances turn unready when their number changes.
type unreadyWhenScaled struct {
	judgingPlatform
	turnUnready func()
}

// judgingPlatform is a platform that judges its instances itself, and starts them again.
type judgingPlatform interface {
	bluegreen.Platform
	bluegreen.Readiness
	bluegreen.Restarter
}

func (p unreadyWhenScaled) Scale(ctx context.Context, env bluegreen.Environment, replicas int) error {
	p.turnUnready()
	return p.judgingPlatform.Scale(ctx, env, replicas)
}

// A replica of live turns unhealthy after an apply has begun, so that no repair was planned.
// The apply starts it again and does what it was asked for.
func TestScaleRepairsWhatTurnsUnhealthyMeanwhile(t *testing.T) {
	h := newHarness(t)
	h.Config.HealthCheckTimeout = 50 * time.Millisecond
	judging, ok := h.Platform.(judgingPlatform)
	if !ok {
		t.Fatal("the platform does not judge its instances")
	}
	h.Platform = unreadyWhenScaled{judging, sync.OnceFunc(func() {
		h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Blue)
	})}
	want := desired(h.release("2.0.0"))
	want.Release.Replicas = 3
	if _, err := h.Apply(t.Context(), h.ledger(), want); err != nil {
		t.Fatal(err)
	}
	status, err := h.Status(t.Context())
	if err != nil || status.Running[bluegreen.Blue] != 3 || status.Unready[bluegreen.Blue] != 0 {
		t.Errorf("%v run, %v are not ready: %v", status.Running, status.Unready, err)
	}
}

// slowlyRestarting is a platform whose instances are healthy boot after they were started
// again. It counts the instances that were started again while another one was not healthy.
type slowlyRestarting struct {
	judgingPlatform
	restarted map[string]time.Time
	early     int
}

const boot = 4 * time.Second

func (p *slowlyRestarting) Restart(ctx context.Context, env bluegreen.Environment, i bluegreen.Instance) error {
	for _, at := range p.restarted {
		if time.Since(at) < boot {
			p.early++
		}
	}
	p.restarted[i.ID] = time.Now()
	return p.judgingPlatform.Restart(ctx, env, i)
}

// All replicas of live fail their health check, and still answer requests. A repair starts
// one after the other again, each once the one before is healthy: or nothing would serve.
func TestRepairStartsOneInstanceAfterTheOtherAgain(t *testing.T) {
	for name, never := range map[string]string{"all become healthy": "", "the second does not": "green-2"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTimedHarness(t, alwaysHealthy)
				h.create(t)
				judging, ok := h.Platform.(judgingPlatform)
				if !ok {
					t.Fatal("the platform does not judge its instances")
				}
				platform := &slowlyRestarting{judgingPlatform: judging, restarted: map[string]time.Time{}}
				h.Platform = platform
				h.checker.isHealthy = func(id string, _ time.Duration) bool {
					at, isRestarted := platform.restarted[id]
					return isRestarted && id != never && time.Since(at) >= boot
				}
				h.memory.SetReadiness(deployment, bluegreen.Verdict{"ready": errStarting}, bluegreen.Green)
				want := desired(fourReplicas(h.memory, "1.0.0"))
				ledger, err := h.Platform.Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				_, err = h.Apply(t.Context(), ledger, want)
				if got := fmt.Sprint(err); never == "" && err != nil || !strings.Contains(got, never) {
					t.Errorf("got %v", err)
				}
				if count := map[string]int{"": 4, "green-2": 2}[never]; len(platform.restarted) != count {
					t.Errorf("%d instances were started again, want %d", len(platform.restarted), count)
				}
				if platform.early > 0 {
					t.Errorf("%d were started again too early", platform.early)
				}
			})
		})
	}
}

// A preview and a new release beside a live that lacks a replica repair it too, so that
// the next plan is empty.
func TestDeployRepairsWhatElseLacksReplicas(t *testing.T) {
	for name, promote := range map[string]bool{"preview": false, "new release": true} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t)
			h.memory.Exit(deployment, "blue-2", "exit status 1")
			want := desired(h.release("3.0.0"))
			want.Promote = promote
			if _, err := h.Apply(t.Context(), h.ledger(), want); err != nil {
				t.Fatal(err)
			}
			status, err := h.Status(t.Context())
			if err != nil || status.Running[bluegreen.Blue] != 2 || status.Running[bluegreen.Green] != 2 {
				t.Errorf("%v run: %v", status.Running, err)
			}
			if steps, err := status.Ledger.Next(want, status.Usable()); err != nil || len(steps) > 0 {
				t.Errorf("the next plan is %v, %v", steps, err)
			}
		})
	}
}

// restartingPlatform starts an instance that has exited again after some seconds, as an
// agent or a kubelet does. A call of Scale does not start it sooner.
type restartingPlatform struct {
	bluegreen.Platform
}

func (p restartingPlatform) Scale(context.Context, bluegreen.Environment, int) error { return nil }

// A replica of live has exited, and the platform is about to start it again. A repair waits
// for that, and does not call the release unhealthy.
func TestRepairWaitsForAReplicaThatIsStartedAgain(t *testing.T) {
	for name, exit := range map[string]func(*timedHarness){
		"before the repair": func(h *timedHarness) { h.memory.Exit(deployment, "green-2", "signal: killed") },
		"during its check": func(h *timedHarness) {
			h.memory.Exit(deployment, "green-3", "signal: killed")
			h.checker.isHealthy = func(id string, _ time.Duration) bool {
				if id == "green-2" && !h.exited {
					h.exited = true
					h.memory.Exit(deployment, id, "signal: killed")
					return false
				}
				return true
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newTimedHarness(t, alwaysHealthy)
				h.create(t)
				h.Platform = restartingPlatform{h.Platform}
				exit(h)
				time.AfterFunc(5*time.Second, func() {
					for _, id := range []string{"green-2", "green-3"} {
						h.memory.Restart(deployment, id, "signal: killed")
					}
				})
				status, err := h.Status(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				want := desired(fourReplicas(h.memory, "1.0.0"))
				if _, err := h.Apply(t.Context(), status.Ledger, want); err != nil {
					t.Error(err)
				}
				status, err = h.Status(t.Context())
				if err != nil || status.Running[bluegreen.Green] != 4 {
					t.Errorf("%v run: %v", status.Running, err)
				}
			})
		})
	}
}
