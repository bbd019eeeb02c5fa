// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// The time in these tests is that of their bubble: it passes when everybody waits.

// patient is a checker whose instances become healthy, or ill, at a time.
type patient struct {
	// healthy tells, for an instance and the time since the start, how it does.
	healthy func(id string, since time.Duration) bool
	start   time.Time
	probes  atomic.Int64
}

func (p *patient) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	for {
		if v := p.Probe(ctx, target); v.IsHealthy() {
			return v
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			return bluegreen.Verdict{"http": errors.New("GET /: 503")}
		}
	}
}

func (p *patient) Probe(_ context.Context, target bluegreen.Target) bluegreen.Verdict {
	p.probes.Add(1)
	if p.healthy(target.ID(), time.Since(p.start)) {
		return bluegreen.Verdict{"http": nil}
	}
	return bluegreen.Verdict{"http": errors.New("GET /: 503")}
}

// clinic is a deployment in a bubble, judged by a patient checker.
func clinic(t *testing.T, healthy func(id string, since time.Duration) bool) (*bluegreen.Deployer, *platformtest.Memory, *patient) {
	memory := platformtest.NewMemory()
	process := memory.Open(t, deployment)
	p := &patient{healthy: healthy, start: time.Now()}
	return bluegreen.NewDeployer(deployment, process.Platform, p, "ann@host"), memory, p
}

func four(memory *platformtest.Memory, version string) bluegreen.Release {
	r := memory.Release(version, platformtest.Healthy)
	r.Replicas = 4
	return r
}

func always(string, time.Duration) bool { return true }

func TestDefaultsAct(t *testing.T) {
	want := bluegreen.Config{
		HealthCheckTimeout: 30 * time.Second, HealthCheckRetries: 3, MinHealthyPercent: 100,
		SwitchTimeout: time.Minute, DrainTimeout: 30 * time.Second, ProbeInterval: time.Second, HistoryLimit: 10,
	}
	if got := bluegreen.DefaultConfig(); got != want {
		t.Errorf("the defaults are %+v, want %+v", got, want)
	}
}

func TestHealthCheckTimeoutAndRetries(t *testing.T) {
	for _, c := range []struct {
		name    string
		becomes time.Duration
		retries int
		passes  bool
		takes   time.Duration
	}{
		{"at once", 0, 0, true, 0},
		{"within the first attempt", 29 * time.Second, 0, true, 29 * time.Second},
		{"never, one attempt", time.Hour, 0, false, 30 * time.Second},
		{"never, four attempts", time.Hour, 3, false, 2 * time.Minute},
		{"within the last attempt", 119 * time.Second, 3, true, 119 * time.Second},
		{"just too late", 121 * time.Second, 3, false, 2 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, memory, _ := clinic(t, func(_ string, since time.Duration) bool { return since >= c.becomes })
				d.Config.HealthCheckRetries = c.retries
				began := time.Now()
				_, err := d.Create(t.Context(), desired(four(memory, "1.0.0")))
				if (err == nil) != c.passes || time.Since(began) != c.takes {
					t.Errorf("after %s: %v; want it to pass: %t, after %s", time.Since(began), err, c.passes, c.takes)
				}
				if err != nil && (!errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), "4 of 4 replicas unhealthy: replica green-1: http: GET /: 503; replica green-2: ")) {
					t.Errorf("the error does not say what was seen: %v", err)
				}
			})
		})
	}
}

func TestMinHealthyPercentOfTheReplicas(t *testing.T) {
	for percent, passes := range map[int]bool{75: true, 50: true, 76: false, 100: false} {
		synctest.Test(t, func(t *testing.T) {
			d, memory, _ := clinic(t, func(id string, _ time.Duration) bool { return id != "green-2" })
			d.Config.HealthCheckRetries, d.Config.MinHealthyPercent = 0, percent
			_, err := d.Create(t.Context(), desired(four(memory, "1.0.0")))
			if (err == nil) != passes {
				t.Errorf("3 of 4 healthy, %d %% needed: %v", percent, err)
			}
			if err != nil && !strings.Contains(err.Error(), "1 of 4 replicas unhealthy: replica green-2: http: GET /: 503") {
				t.Errorf("the error does not name the one: %v", err)
			}
			if err == nil {
				status, err := d.Status(t.Context())
				if err != nil || len(status.Ledger.Green.Passed) != 3 {
					t.Errorf("traffic goes to %v, want the three that passed; %v", status.Ledger.Green.Passed, err)
				}
			}
		})
	}
}

func TestBakeWatchesLiveForItsTime(t *testing.T) {
	const bake = 10 * time.Second
	for _, c := range []struct {
		name    string
		falls   time.Duration
		rises   time.Duration
		retries int
		stays   bool
		takes   time.Duration
	}{
		{"healthy throughout", time.Hour, 0, 3, true, bake},
		{"ill after three seconds", 2500 * time.Millisecond, time.Hour, 3, false, 5 * time.Second},
		{"ill for two probes", 2500 * time.Millisecond, 4500 * time.Millisecond, 3, true, bake},
		{"no patience", 2500 * time.Millisecond, time.Hour, 0, false, 3 * time.Second},
		{"ill at the end", 9500 * time.Millisecond, time.Hour, 3, false, 12 * time.Second},
		{"ill at the end for a moment", 9500 * time.Millisecond, 10500 * time.Millisecond, 3, true, 11 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, memory, p := clinic(t, always)
				if _, err := d.Create(t.Context(), desired(four(memory, "1.0.0"))); err != nil {
					t.Fatal(err)
				}
				p.healthy = func(_ string, since time.Duration) bool { return since < c.falls || since >= c.rises }
				d.Config.BakeTime, d.Config.HealthCheckRetries = bake, c.retries
				began := time.Now()
				err := d.DeployAndSwitch(t.Context(), four(memory, "2.0.0"))
				took := time.Since(began)
				want := "1.0.0"
				if c.stays {
					want = "2.0.0"
				}
				if serves := memory.Serves(t, deployment); (err == nil) != c.stays || serves != want || took.Round(time.Second) != c.takes {
					t.Errorf("after %s %s serves: %v; want %s after %s", took, serves, err, want, c.takes)
				}
			})
		})
	}
}

func TestBakeShorterThanTheIntervalProbesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, memory, p := clinic(t, always)
		if _, err := d.Create(t.Context(), desired(four(memory, "1.0.0"))); err != nil {
			t.Fatal(err)
		}
		p.healthy = func(_ string, since time.Duration) bool { return since == 0 }
		d.Config.BakeTime, d.Config.HealthCheckRetries = 10*time.Millisecond, 1
		err := d.DeployAndSwitch(t.Context(), four(memory, "2.0.0"))
		if !errors.Is(err, bluegreen.HealthCheckFailed) || memory.Serves(t, deployment) != "1.0.0" {
			t.Errorf("%v, and %s serves", err, memory.Serves(t, deployment))
		}
	})
}

// slowTraffic is a platform whose data plane follows after a while.
type slowTraffic struct {
	bluegreen.Platform
	follows time.Duration
}

func (s slowTraffic) AwaitTraffic(ctx context.Context, _ bluegreen.Environment) error {
	select {
	case <-time.After(s.follows):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestSwitchTimeout(t *testing.T) {
	for follows, want := range map[time.Duration]string{59 * time.Second: "2.0.0", 61 * time.Second: "1.0.0"} {
		synctest.Test(t, func(t *testing.T) {
			d, memory, _ := clinic(t, always)
			if _, err := d.Create(t.Context(), desired(four(memory, "1.0.0"))); err != nil {
				t.Fatal(err)
			}
			d.Platform = slowTraffic{d.Platform, follows}
			err := d.DeployAndSwitch(t.Context(), four(memory, "2.0.0"))
			if got := memory.Serves(t, deployment); got != want || (err != nil) != (want == "1.0.0") {
				t.Errorf("traffic follows after %s: %v, and %s serves", follows, err, got)
			}
			if err != nil && (!errors.Is(err, bluegreen.Timeout) || !strings.Contains(err.Error(), "is back where it was")) {
				t.Errorf("the error does not say what happened: %v", err)
			}
			if err := d.Rollback(t.Context(), "back"); want == "1.0.0" && !errors.Is(err, bluegreen.RollbackFailed) {
				t.Errorf("there was nothing to roll back to: %v", err)
			}
		})
	}
}

func TestRollbackThatTheTrafficDoesNotFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, memory, _ := clinic(t, always)
		if _, err := d.Create(t.Context(), desired(four(memory, "1.0.0"))); err != nil {
			t.Fatal(err)
		}
		if err := d.DeployAndSwitch(t.Context(), four(memory, "2.0.0")); err != nil {
			t.Fatal(err)
		}
		prompt := d.Platform
		d.Platform = slowTraffic{prompt, time.Hour}
		if err := d.Rollback(t.Context(), "slow"); !errors.Is(err, bluegreen.Timeout) {
			t.Errorf("got %v, want a timeout", err)
		}
		if got := memory.Serves(t, deployment); got != "2.0.0" {
			t.Errorf("%s serves", got)
		}
		d.Platform = prompt
		if err := d.Rollback(t.Context(), "slow"); err != nil || memory.Serves(t, deployment) != "1.0.0" {
			t.Errorf("%v, and %s serves", err, memory.Serves(t, deployment))
		}
	})
}

func TestOperationTimeoutIsATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, memory, _ := clinic(t, func(string, time.Duration) bool { return false })
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, err := d.Create(ctx, desired(four(memory, "1.0.0")))
		if !errors.Is(err, bluegreen.Timeout) || !strings.Contains(err.Error(), "GET /: 503") {
			t.Errorf("got %v, want a timeout that keeps the last cause", err)
		}
	})
}
