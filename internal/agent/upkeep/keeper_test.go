// SPDX-License-Identifier: MPL-2.0

package upkeep_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/upkeep"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// fakeReplica is the target of probes, and their checker.
type fakeReplica struct {
	id     string
	isSick atomic.Bool
	// hangs is how long a probe takes that fails.
	hangs             time.Duration
	probes, restarted atomic.Int64
}

func (f *fakeReplica) ID() string                             { return f.id }
func (f *fakeReplica) Dial(context.Context) (net.Conn, error) { return nil, errors.ErrUnsupported }
func (f *fakeReplica) Exec(context.Context, []string) error   { return errors.ErrUnsupported }
func (f *fakeReplica) Exited(context.Context) error           { return nil }

func (f *fakeReplica) Probe(context.Context, bluegreen.Target) bluegreen.Verdict {
	f.probes.Add(1)
	if !f.isSick.Load() {
		return bluegreen.Verdict{"http": nil}
	}
	time.Sleep(f.hangs)
	return bluegreen.Verdict{"http": errors.New("GET /: 503")}
}

func (f *fakeReplica) Await(ctx context.Context, t bluegreen.Target) bluegreen.Verdict {
	return f.Probe(ctx, t)
}

func (f *fakeReplica) run() upkeep.Run {
	return upkeep.Run{Environment: bluegreen.Green, Backend: f.id, Address: "127.0.0.1:1"}
}

// replica is f as the keeper gets it, live and just deployed.
func (f *fakeReplica) replica(restartAfter time.Duration) upkeep.Replica {
	return upkeep.Replica{
		IsListening: true,
		Run:         f.run(), Target: f, HasPassed: true, Restart: func() { f.restarted.Add(1) },
		Plan: &upkeep.Plan{
			Thresholds: upkeep.Thresholds{Unhealthy: 3, Healthy: 1},
			Checker:    f, Interval: 2 * time.Second, RestartAfter: restartAfter,
		},
	}
}

// newKeeper returns a keeper that ends with the test, and the count of its calls to changed.
func newKeeper(t *testing.T) (k *upkeep.Keeper, changes *atomic.Int64) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	changes = new(atomic.Int64)
	return newKeeperOf(ctx, &upkeep.Load{}, changes), changes
}

// newKeeperOf returns one of the keepers that share load.
func newKeeperOf(ctx context.Context, load *upkeep.Load, changes *atomic.Int64) *upkeep.Keeper {
	return upkeep.New(ctx, slog.New(slog.DiscardHandler), load, func() { changes.Add(1) })
}

// pass lets the time pass.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// A sick replica is found after at most three intervals and one timeout of a probe,
// even if it hangs, and a replica that is well again after at most one interval.
func TestSickReplicaIsFoundInTime(t *testing.T) {
	t.Parallel()
	for name, hangs := range map[string]time.Duration{
		"it refuses": 0, "it hangs": time.Second, "it hangs for longer than an interval": 5 * time.Second,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				k, changes := newKeeper(t)
				f := &fakeReplica{id: "green-1", hangs: hangs}
				k.Set([]upkeep.Replica{f.replica(0)})
				pass(10 * time.Second)
				f.isSick.Store(true)
				pass(3 * time.Second)
				if cause := k.UnhealthyCause(f.run()); cause != "" {
					t.Errorf("it is unhealthy after less than three probes: %s", cause)
				}
				pass(3*time.Second + hangs)
				if cause := k.UnhealthyCause(f.run()); cause != "http: GET /: 503" || changes.Load() != 1 {
					t.Errorf("the cause is %q after %d changes", cause, changes.Load())
				}
				f.isSick.Store(false)
				pass(2*time.Second + hangs)
				if cause := k.UnhealthyCause(f.run()); cause != "" || changes.Load() != 2 {
					t.Errorf("the cause is %q after %d changes", cause, changes.Load())
				}
			})
		})
	}
}

func TestStandbyIsProbedMoreRarely(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeeper(t)
		live, standby := &fakeReplica{id: "green-1"}, &fakeReplica{id: "blue-1"}
		rarely := standby.replica(0)
		rarely.IsStandby = true
		k.Set([]upkeep.Replica{live.replica(0), rarely})
		pass(2 * time.Minute)
		if n := live.probes.Load(); n < 59 || n > 70 {
			t.Errorf("live was probed %d times in 60 intervals", n)
		}
		if n := standby.probes.Load(); n < 9 || n > 12 {
			t.Errorf("the standby was probed %d times in 60 intervals", n)
		}
	})
}

// Many replicas are probed more rarely, so that the agent stays cheap. One that fails is
// then probed at its own interval.
func TestManyReplicasShareTheProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeeper(t)
		f := &fakeReplica{id: "green"}
		var replicas []upkeep.Replica
		for n := range 100 {
			r := f.replica(0)
			r.Address = fmt.Sprint(n)
			replicas = append(replicas, r)
		}
		k.Set(replicas)
		pass(100 * time.Second)
		if n := f.probes.Load(); n < 900 || n > 1200 {
			t.Errorf("100 replicas were probed %d times in 100 s", n)
		}
		f.isSick.Store(true)
		pass(14 * time.Second)
		for _, r := range replicas {
			if k.UnhealthyCause(r.Run) == "" {
				t.Fatalf("%s is not unhealthy", r.Address)
			}
		}
	})
}

// The replicas of all deployments share the probes. A deployment that ends leaves its part to
// the others.
func TestDeploymentsShareTheProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		load, f := &upkeep.Load{}, &fakeReplica{id: "green"}
		var end []context.CancelFunc
		for range 10 {
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			end = append(end, cancel)
			var replicas []upkeep.Replica
			for n := range 10 {
				r := f.replica(0)
				r.Address = fmt.Sprint(n)
				replicas = append(replicas, r)
			}
			newKeeperOf(ctx, load, new(atomic.Int64)).Set(replicas)
		}
		pass(100 * time.Second)
		if n := f.probes.Load(); n < 900 || n > 1200 {
			t.Errorf("100 replicas of 10 deployments were probed %d times in 100 s", n)
		}
		for _, cancel := range end[1:] {
			cancel()
		}
		pass(20 * time.Second)
		before := f.probes.Load()
		pass(100 * time.Second)
		if n := f.probes.Load() - before; n < 480 || n > 600 {
			t.Errorf("10 replicas that are probed every 2 s were probed %d times in 100 s", n)
		}
	})
}

// After a restart of the agent nothing is known of a replica: it is probed at once, and
// one failure is enough.
func TestUnknownReplicaIsProbedAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeeper(t)
		f := &fakeReplica{id: "green-1"}
		f.isSick.Store(true)
		unknown := f.replica(0)
		unknown.HasPassed = false
		k.Set([]upkeep.Replica{unknown})
		synctest.Wait()
		if k.UnhealthyCause(f.run()) == "" {
			t.Error("it is not unhealthy")
		}
	})
}

// A replica that has just been started may not listen yet. It is probed after a second, and if that
// fails again soon, however long the interval is.
func TestReplicaThatDoesNotListenYetGetsTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeeper(t)
		f := &fakeReplica{id: "green-1"}
		f.isSick.Store(true)
		starting := f.replica(0)
		starting.HasPassed, starting.IsListening, starting.Plan.Interval = false, false, time.Hour
		k.Set([]upkeep.Replica{starting})
		for _, step := range []struct {
			after       time.Duration
			isUnhealthy bool
		}{{0, false}, {time.Second, true}, {2 * time.Second, false}} {
			time.Sleep(step.after)
			synctest.Wait()
			if cause := k.UnhealthyCause(f.run()); (cause != "") != step.isUnhealthy {
				t.Errorf("%s later the cause is %q", step.after, cause)
			}
			f.isSick.Store(!step.isUnhealthy)
		}
	})
}

// What is known of a replica is kept when its plan changes, and is forgotten with it.
func TestConditionIsKeptWhilePlansChange(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeeper(t)
		f := &fakeReplica{id: "green-1"}
		k.Set([]upkeep.Replica{f.replica(0)})
		k.ReportFailure(f.run(), 2, errors.New("refused"))
		if k.UnhealthyCause(f.run()) != "" {
			t.Error("two failed requests are enough")
		}
		k.ReportFailure(f.run(), 3, errors.New("refused"))
		changed := f.replica(0)
		changed.HasPassed = false
		k.Set([]upkeep.Replica{changed})
		if cause := k.UnhealthyCause(f.run()); cause != "requests: refused" {
			t.Errorf("the cause is %q", cause)
		}
		k.Set([]upkeep.Replica{f.replica(0)})
		if cause := k.UnhealthyCause(f.run()); cause != "" {
			t.Errorf("a replica that an apply has checked is unhealthy: %s", cause)
		}
		k.ReportFailure(f.run(), 3, errors.New("refused"))
		k.Set(nil)
		if cause := k.UnhealthyCause(f.run()); cause != "" {
			t.Errorf("a replica that is gone is unhealthy: %s", cause)
		}
	})
}

func TestUnhealthyReplicasAreStartedAgainOneByOne(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeeper(t)
		first, second, never := &fakeReplica{id: "green-1"}, &fakeReplica{id: "green-2"}, &fakeReplica{id: "green-3"}
		k.Set([]upkeep.Replica{first.replica(time.Minute), second.replica(time.Minute), never.replica(0)})
		for _, f := range []*fakeReplica{first, second, never} {
			f.isSick.Store(true)
		}
		pass(59 * time.Second)
		if n := first.restarted.Load() + second.restarted.Load(); n != 0 {
			t.Errorf("%d were started again before the time", n)
		}
		pass(11 * time.Second)
		if n := first.restarted.Load() + second.restarted.Load(); n != 1 {
			t.Errorf("%d were started again, want one", n)
		}
		pass(time.Minute)
		if first.restarted.Load() != 1 || second.restarted.Load() != 1 || never.restarted.Load() != 0 {
			t.Errorf("started again: %d, %d and %d times",
				first.restarted.Load(), second.restarted.Load(), never.restarted.Load())
		}
	})
}

// A replica that needs more time to start than restart_after is not started again for ever: it
// gets twice as long each time. Once it has passed, restart_after counts again.
func TestReplicaThatStartsSlowlyGetsMoreTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeeper(t)
		const boot = 20 * time.Second
		f := &fakeReplica{id: "green-1"}
		var runs atomic.Int64
		var start func()
		start = func() {
			run := runs.Add(1)
			f.isSick.Store(true)
			time.AfterFunc(boot, func() { f.isSick.Store(run != runs.Load()) })
			r := f.replica(5 * time.Second)
			r.HasPassed, r.Address = false, fmt.Sprint(run)
			r.Restart = func() {
				f.restarted.Add(1)
				go start()
			}
			k.Set([]upkeep.Replica{r})
		}
		start()
		pass(10 * time.Minute)
		if n := f.restarted.Load(); n < 1 || n > 3 || f.isSick.Load() {
			t.Errorf("it was started again %d times, and is ill: %t", n, f.isSick.Load())
		}
		former := f.restarted.Load()
		f.isSick.Store(true)
		pass(3*2*time.Second + 5*time.Second + 2*time.Second)
		if n := f.restarted.Load(); n != former+1 {
			t.Errorf("once it had passed it was started again %d times, want once", n-former)
		}
	})
}

// A HEALTHCHECK counts like a probe. While the engine does not answer, everything stays as it is:
// a healthy replica healthy, and an unhealthy one unhealthy and not started again.
func TestWhatRunsTheReplicaIsAskedToo(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeeper(t)
		f := &fakeReplica{id: "green-1"}
		var answer atomic.Pointer[error]
		say := func(err error) { answer.Store(&err) }
		r := f.replica(time.Minute)
		r.Ready = func(context.Context) bluegreen.Verdict { return bluegreen.Verdict{"HEALTHCHECK": *answer.Load()} }
		expect := func(want string, restarts int64) {
			t.Helper()
			if cause, n := k.UnhealthyCause(f.run()), f.restarted.Load(); cause != want || n != restarts {
				t.Errorf("the cause is %q after %d restarts, want %q after %d", cause, n, want, restarts)
			}
		}
		unknown := fmt.Errorf("%w: no such socket", bluegreen.ErrCouldNotAsk)
		say(unknown)
		k.Set([]upkeep.Replica{r})
		pass(10 * time.Minute)
		expect("", 0)
		say(errors.New("unhealthy, exit status 1: no database"))
		pass(6 * time.Second)
		expect("HEALTHCHECK: unhealthy, exit status 1: no database", 0)
		say(unknown)
		pass(10 * time.Minute)
		expect("HEALTHCHECK: unhealthy, exit status 1: no database", 0)
		f.isSick.Store(true)
		pass(2 * time.Second)
		expect("http: GET /: 503", 1)
		f.isSick.Store(false)
		say(nil)
		pass(2 * time.Second)
		expect("", 1)
	})
}

func TestMetricSaysWhoIsHealthy(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, _ := newKeeper(t)
		well, sick := &fakeReplica{id: "green-1"}, &fakeReplica{id: "green-2"}
		k.Set([]upkeep.Replica{well.replica(0), sick.replica(0)})
		k.ReportFailure(sick.run(), 3, errors.New("refused"))
		registry := prometheus.NewRegistry()
		registry.MustRegister(k)
		families, err := registry.Gather()
		if err != nil || len(families) != 1 || families[0].GetName() != "bluegreen_replica_healthy" {
			t.Fatalf("gathered %v, %v", families, err)
		}
		var values []float64
		for _, metric := range families[0].GetMetric() {
			values = append(values, metric.GetGauge().GetValue())
		}
		if !slices.Equal(values, []float64{1, 0}) {
			t.Errorf("the replicas have %v", values)
		}
	})
}
