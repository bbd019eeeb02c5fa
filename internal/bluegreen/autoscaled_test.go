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

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// scaledShop is a deployment whose size is somebody else's.
type scaledShop struct {
	*testing.T
	*bluegreen.Deployer
	memory *platformtest.Memory
}

func newScaledShop(t *testing.T) *scaledShop {
	t.Parallel()
	memory := platformtest.NewMemory()
	process := memory.Open(t, deployment)
	s := &scaledShop{t, bluegreen.NewDeployer(deployment, process, memory.Checker(), "tester"), memory}
	s.Config.BakeTime, s.Config.ProbeInterval = 1, 1
	_, err := s.Create(t.Context(), s.desired("1.0.0"))
	s.must(err)
	return s
}

func (s *scaledShop) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// desired is a version, without a word about its size.
func (s *scaledShop) desired(version string) bluegreen.Desired {
	release := s.memory.Release(version, platformtest.Healthy)
	release.Replicas, release.Autoscaled = 1, true
	return desired(release)
}

func (s *scaledShop) apply(want bluegreen.Desired) {
	s.Helper()
	ledger, err := s.Platform.Load(s.Context())
	s.must(err)
	_, err = s.Apply(s.Context(), ledger, want)
	s.must(err)
}

// sizes fails the test unless both environments run so many, and the ledger says so.
func (s *scaledShop) sizes(blue, green int) {
	s.Helper()
	status, err := s.Status(s.Context())
	s.must(err)
	for env, want := range map[bluegreen.Environment]int{bluegreen.Blue: blue, bluegreen.Green: green} {
		said := 0
		if release := status.Ledger.Slot(env).Release; release != nil {
			said = release.Replicas
		}
		if status.Running[env] != want || said != want {
			s.Errorf("%s runs %d and the ledger says %d, want %d", env, status.Running[env], said, want)
		}
	}
}

// idle fails the test unless there is nothing to do.
func (s *scaledShop) idle(want bluegreen.Desired) {
	s.Helper()
	status, err := s.Status(s.Context())
	s.must(err)
	if steps, err := status.Ledger.Next(want, status.Running); err != nil || len(steps) > 0 {
		s.Errorf("there is something to do: %v, %v", steps, err)
	}
}

// A size that somebody else gave is no drift, a new release comes up at it, and a
// rollback finds the standby at its own.
func TestAutoscaled(t *testing.T) {
	s := newScaledShop(t)
	s.sizes(0, 1)
	s.memory.Autoscale(deployment, bluegreen.Green, 3)
	s.sizes(0, 3)
	s.idle(s.desired("1.0.0"))
	s.apply(s.desired("2.0.0"))
	s.sizes(3, 3)
	s.memory.Autoscale(deployment, bluegreen.Green, 2)
	s.memory.Autoscale(deployment, bluegreen.Blue, 4)
	s.idle(s.desired("2.0.0"))
	back := s.desired("2.0.0")
	back.Rollback = true
	s.apply(back)
	s.sizes(4, 2)
	s.idle(back)
	s.apply(s.desired("2.0.0"))
	s.sizes(2, 2)
	ledger, err := s.Platform.Load(t.Context())
	s.must(err)
	if record, _ := ledger.LiveRecord(); record.Replicas != 2 {
		t.Errorf("the record says %d replicas", record.Replicas)
	}
}

// The size can be taken over and given back, without anything that starts.
func TestAutoscaledFromNowOn(t *testing.T) {
	s := newScaledShop(t)
	fixed := s.desired("1.0.0")
	fixed.Release.Replicas, fixed.Release.Autoscaled = 2, false
	s.apply(fixed)
	s.sizes(0, 2)
	s.memory.Autoscale(deployment, bluegreen.Green, 3)
	status, err := s.Status(t.Context())
	s.must(err)
	if status.Ledger.Slot(bluegreen.Green).Release.Replicas != 2 {
		t.Error("a size of ours is somebody else's")
	}
	var told []string
	s.Progress = func(message string) { told = append(told, message) }
	s.apply(s.desired("1.0.0"))
	s.sizes(0, 3)
	if !slices.Equal(told, []string{"leaving the number of replicas to the autoscaler"}) {
		t.Errorf("it says %q", told)
	}
	s.idle(s.desired("1.0.0"))
	// Of what was fixed, the standby becomes somebody else's as well.
	s.apply(fixed)
	s.apply(s.desired("2.0.0"))
	s.memory.Autoscale(deployment, bluegreen.Green, 4)
	s.sizes(2, 4)
	s.idle(s.desired("2.0.0"))
}

// Who scales live while it is watched does not make it unhealthy.
func TestAutoscaledWhileItBakes(t *testing.T) {
	for _, size := range []int{1, 5} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newScaledShop(t)
			s.memory.Autoscale(deployment, bluegreen.Green, 3)
			s.Progress = func(message string) {
				if strings.HasPrefix(message, "watching") {
					s.memory.Autoscale(deployment, bluegreen.Blue, size)
				}
			}
			s.apply(s.desired("2.0.0"))
			s.sizes(size, 3)
		})
	}
}

// shrinking takes instances away while the first of them is checked.
type shrinking struct {
	bluegreen.Checker
	shrink func()
}

func (c shrinking) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	c.shrink()
	return c.Checker.Await(ctx, target)
}

// Who takes replicas away while they are checked does not make the release fail,
// as long as one is left.
func TestAutoscaledWhileItIsChecked(t *testing.T) {
	for size, healthy := range map[int]bool{0: false, 1: true, 2: true} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newScaledShop(t)
			s.memory.Autoscale(deployment, bluegreen.Green, 3)
			// It is not the next attempt that finds them gone.
			s.Config.HealthCheckRetries = 0
			s.Checker = shrinking{s.Checker, sync.OnceFunc(func() { s.memory.Autoscale(deployment, bluegreen.Blue, size) })}
			_, err := s.Deploy(t.Context(), s.desired("2.0.0").Release)
			s.must(err)
			result, err := s.HealthCheck(t.Context())
			if errors.Is(err, bluegreen.HealthCheckFailed) == healthy || len(result.Instances) != size {
				t.Errorf("%d replicas passed, %v", len(result.Instances), err)
			}
		})
	}
}

// What is replaced while it is checked, as by an eviction, is not less than before:
// those in its place are checked as well.
func TestAutoscaledIsReplacedWhileItIsChecked(t *testing.T) {
	s := newScaledShop(t)
	s.memory.Autoscale(deployment, bluegreen.Green, 3)
	s.Config.HealthCheckRetries = 1
	s.Checker = shrinking{s.Checker, sync.OnceFunc(func() {
		s.memory.Autoscale(deployment, bluegreen.Blue, 1)
		s.memory.Autoscale(deployment, bluegreen.Blue, 3)
	})}
	_, err := s.Deploy(t.Context(), s.desired("2.0.0").Release)
	s.must(err)
	result, err := s.HealthCheck(t.Context())
	if err != nil || len(result.Instances) != 3 {
		t.Errorf("%d replicas passed, %v", len(result.Instances), err)
	}
}

// surging is a platform with one more instance in env, which is on its way.
type surging struct {
	bluegreen.Platform
	env bluegreen.Environment
}

func (p surging) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	instances, err := p.Platform.Instances(ctx, env)
	if err == nil && env == p.env {
		instances = append(instances, bluegreen.Instance{ID: env.String() + "-9", Incarnation: "new", Running: true, Unready: "it starts"})
	}
	return instances, err
}

// What an autoscaler adds takes its time to start, as does what an instance is
// replaced with. That is no reason to go back, nor not to.
func TestAutoscaledInstancesStart(t *testing.T) {
	s := newScaledShop(t)
	right := s.Platform
	s.Progress = func(message string) {
		if strings.HasPrefix(message, "watching") {
			s.Platform = surging{right, bluegreen.Blue}
		}
	}
	s.apply(s.desired("2.0.0"))
	s.Progress = nil
	s.Platform = surging{right, bluegreen.Green}
	s.must(s.Rollback(t.Context(), "to see"))
	if got := s.memory.Serves(t, deployment); got != "1.0.0" {
		t.Errorf("%s serves", got)
	}
}

// restarting is a platform on which what passed in env runs anew, and is not ready.
type restarting struct {
	bluegreen.Platform
	env bluegreen.Environment
}

func (p restarting) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	instances, err := p.Platform.Instances(ctx, env)
	for i := range instances {
		if env == p.env && i > 0 {
			instances[i].Incarnation, instances[i].Unready = "restarted", "it crashes"
		}
	}
	return instances, err
}

// What has passed and crashes afterwards is not what an autoscaler has added.
func TestAutoscaledInstancesCrash(t *testing.T) {
	s := newScaledShop(t)
	s.memory.Autoscale(deployment, bluegreen.Green, 3)
	right := s.Platform
	s.Progress = func(message string) {
		if strings.HasPrefix(message, "watching") {
			s.Platform = restarting{right, bluegreen.Blue}
		}
	}
	ledger, err := s.Platform.Load(t.Context())
	s.must(err)
	if _, err := s.Apply(t.Context(), ledger, s.desired("2.0.0")); !errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), "2 of 3 replicas unhealthy") {
		t.Errorf("got %v", err)
	}
	if got := s.memory.Serves(t, deployment); got != "1.0.0" {
		t.Errorf("%s serves", got)
	}
}

// Between the health check and the switch the size may change as well, but
// somebody who passed the check must be left.
func TestAutoscaledBeforeTheSwitch(t *testing.T) {
	for size, refused := range map[int]bool{0: true, 2: false, 3: false, 5: false} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			s := newScaledShop(t)
			s.memory.Autoscale(deployment, bluegreen.Green, 3)
			_, err := s.Deploy(t.Context(), s.desired("2.0.0").Release)
			s.must(err)
			result, err := s.HealthCheck(t.Context())
			s.must(err)
			if len(result.Instances) != 3 {
				t.Errorf("%d replicas passed the check, want 3", len(result.Instances))
			}
			s.memory.Autoscale(deployment, bluegreen.Blue, size)
			if err := s.Switch(t.Context()); errors.Is(err, bluegreen.SwitchFailed) != refused {
				t.Errorf("the switch ended with: %v", err)
			}
		})
	}
}

// Without any instance there is no health, no rollback and no peace, whoever
// decides on the size.
func TestAutoscaledToNothing(t *testing.T) {
	s := newScaledShop(t)
	s.apply(s.desired("2.0.0"))
	s.memory.Autoscale(deployment, bluegreen.Green, 0)
	if err := s.Rollback(t.Context(), "to see"); !errors.Is(err, bluegreen.RollbackFailed) {
		t.Errorf("a rollback to nothing ended with: %v", err)
	}
	status, err := s.Status(t.Context())
	s.must(err)
	if status.CanRollBack(100) {
		t.Error("there is nothing to roll back to")
	}
	s.apply(s.desired("2.0.0"))
	s.sizes(1, 1)
	_, err = s.Deploy(t.Context(), s.desired("3.0.0").Release)
	s.must(err)
	s.memory.Autoscale(deployment, bluegreen.Green, 0)
	if _, err := s.HealthCheck(t.Context()); !errors.Is(err, bluegreen.HealthCheckFailed) {
		t.Errorf("the health check of nothing ended with: %v", err)
	}
}

// A preview waits for the promotion at its own size, unless another one is asked for.
func TestAutoscaledPreview(t *testing.T) {
	s := newScaledShop(t)
	want := s.desired("2.0.0")
	want.Promote = false
	s.apply(want)
	s.memory.Autoscale(deployment, bluegreen.Blue, 3)
	s.idle(want)
	want.Promote = true
	fixed := want
	fixed.Release.Autoscaled = false
	for step, want := range map[bluegreen.Step]bluegreen.Desired{bluegreen.StepPromote: want, bluegreen.StepDeployAndSwitch: fixed} {
		status, err := s.Status(t.Context())
		s.must(err)
		steps, err := status.Ledger.Next(want, status.Running)
		s.must(err)
		if len(steps) == 0 || steps[0] != step {
			t.Errorf("the steps are %v, want %s first", steps, step)
		}
	}
}
