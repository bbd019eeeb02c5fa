// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

func TestEvidenceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, func(_ string, since time.Duration) bool { return since >= 7*time.Second })
		h.create(t)
		status, err := h.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		record, _ := status.Ledger.LiveRecord()
		health := record.Health
		want := bluegreen.HealthResult{
			Healthy: true, ChecksPassed: 4, Duration: 7 * time.Second,
			Details: map[string]bool{
				"green-1 http": true, "green-2 http": true, "green-3 http": true, "green-4 http": true,
			},
		}
		if health == nil || len(health.Instances) != 4 {
			t.Fatalf("the evidence is %+v", health)
		}
		got := *health
		got.Instances = nil
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the evidence is %+v, want %+v", got, want)
		}
	})
}

func TestEvidenceOfAFailureIsKept(t *testing.T) {
	h := newHarness(t)
	h.Config.HealthCheckRetries = 2
	err := h.DeployAndSwitch(t.Context(), h.memory.Release("3.0.0", platformtest.Unhealthy))
	if !errors.Is(err, bluegreen.HealthCheckFailed) {
		t.Fatal(err)
	}
	l := h.ledger()
	record, _ := l.Record(l.Green.Record)
	health := record.Health
	if health == nil || health.Healthy || health.ChecksFailed != 2 || health.ChecksPassed != 0 ||
		health.Causes["green-1 state"] != `it says "unhealthy"` || health.Details["green-1 state"] {
		t.Errorf("the evidence is %+v", health)
	}
	reason := `2 of 2 replicas unhealthy: ` +
		`replica green-1: state: it says "unhealthy"; replica green-2: state: it says "unhealthy"`
	if record.Reason != reason {
		t.Errorf("the reason is %q", record.Reason)
	}
	var attempts []string
	for _, message := range h.progress {
		if strings.HasPrefix(message, "attempt") {
			attempts = append(attempts, message[:len("attempt 1 of 3")])
		}
	}
	if !slices.Equal(attempts, []string{"attempt 1 of 3", "attempt 2 of 3"}) {
		t.Errorf("the attempts in the progress are %q", attempts)
	}
}

// A release whose instances have exited gets no other attempt.
func TestNoOtherAttemptAfterAnExit(t *testing.T) {
	h := newHarness(t)
	h.Config.HealthCheckRetries = 2
	began := len(h.progress)
	err := h.DeployAndSwitch(t.Context(), h.memory.Release("3.0.0", platformtest.Crashing))
	var unhealthy *bluegreen.UnhealthyError
	if !errors.As(err, &unhealthy) || unhealthy.Unhealthy != 2 {
		t.Fatalf("got %v", err)
	}
	for _, message := range h.progress[began:] {
		if strings.HasPrefix(message, "attempt") {
			t.Errorf("the progress is %q", message)
		}
	}
}

func TestNoEvidenceWithoutAProbe(t *testing.T) {
	h := newHarness(t)
	h.Config.ProbeInterval = 1
	h.Progress = func(message string) {
		if strings.HasPrefix(message, "checking") {
			h.fails = "Instances"
		}
	}
	err := h.DeployAndSwitch(t.Context(), h.release("3.0.0"))
	if !errors.Is(err, bluegreen.PlatformUnavailable) || !errors.Is(err, platformtest.ErrInjected) {
		t.Fatal(err)
	}
	l := h.ledger()
	if record, _ := l.Record(l.Green.Record); record.Health != nil || record.Status != bluegreen.StatusFailed {
		t.Errorf("the record is %+v", record)
	}
}

func TestVerdictWithoutChecksIsNotHealthy(t *testing.T) {
	failed := errors.New("503")
	for name, c := range map[string]struct {
		verdict bluegreen.Verdict
		want    bool
	}{
		"none":   {nil, false},
		"empty":  {bluegreen.Verdict{}, false},
		"passed": {bluegreen.Verdict{"http": nil}, true},
		"mixed":  {bluegreen.Verdict{"http": nil, "tcp": failed}, false},
	} {
		if got := c.verdict.IsHealthy(); got != c.want {
			t.Errorf("%s is healthy: %t", name, got)
		}
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
				h := newTimedHarness(t, func(_ string, since time.Duration) bool { return since >= c.becomes })
				h.Config.HealthCheckRetries = c.retries
				began := time.Now()
				_, err := h.Create(t.Context(), desired(fourReplicas(h.memory, "1.0.0")))
				if (err == nil) != c.passes || time.Since(began) != c.takes {
					t.Errorf("after %s: %v; want it to pass: %t, after %s", time.Since(began), err, c.passes, c.takes)
				}
				want := "4 of 4 replicas unhealthy: replica green-1: http: GET /: 503; replica green-2: "
				if err != nil && !matches(err, bluegreen.HealthCheckFailed, want) {
					t.Errorf("the error does not say what was seen: %v", err)
				}
			})
		})
	}
}

func TestMinHealthyPercentOfTheReplicas(t *testing.T) {
	for percent, passes := range map[int]bool{75: true, 50: true, 76: false, 100: false} {
		synctest.Test(t, func(t *testing.T) {
			h := newTimedHarness(t, func(id string, _ time.Duration) bool { return id != "green-2" })
			h.Config.HealthCheckRetries, h.Config.MinHealthyPercent = 0, percent
			_, err := h.Create(t.Context(), desired(fourReplicas(h.memory, "1.0.0")))
			if (err == nil) != passes {
				t.Errorf("3 of 4 healthy, %d %% needed: %v", percent, err)
			}
			want := "1 of 4 replicas unhealthy: replica green-2: http: GET /: 503"
			if err != nil && !strings.Contains(err.Error(), want) {
				t.Errorf("the error does not name the unhealthy replica: %v", err)
			}
			if err == nil {
				status, err := h.Status(t.Context())
				if err != nil || len(status.Ledger.Green.Passed) != 3 {
					t.Errorf("traffic goes to %v, want the three that passed; %v", status.Ledger.Green.Passed, err)
				}
			}
		})
	}
}

// slowListing takes longer to list instances than a health check may take.
type slowListing struct{ bluegreen.Platform }

func (p slowListing) Instances(ctx context.Context, env bluegreen.Environment) ([]bluegreen.Instance, error) {
	select {
	case <-time.After(time.Minute):
		return p.Platform.Instances(ctx, env)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func TestSlowPlatformDoesNotFailTheCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newTimedHarness(t, alwaysHealthy)
		h.create(t)
		h.Platform = slowListing{h.Platform}
		h.Config.HealthCheckTimeout, h.Config.HealthCheckRetries = time.Second, 0
		if _, err := h.Deploy(t.Context(), fourReplicas(h.memory, "2.0.0")); err != nil {
			t.Fatal(err)
		}
		if result, err := h.HealthCheck(t.Context()); err != nil || !result.Healthy {
			t.Errorf("the check ended with %+v and %v", result, err)
		}
	})
}

// latin1Checker finds a cause that is not UTF-8, as a program may write it.
type latin1Checker struct{}

func (latin1Checker) Await(context.Context, bluegreen.Target) bluegreen.Verdict {
	return bluegreen.Verdict{"exec": errors.New("exit status 1: caf\xe9")}
}

func (c latin1Checker) Probe(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	return c.Await(ctx, target)
}

// A commit whose answer is lost has happened, with these bytes too.
func TestLostAnswerOfACommitWithOddBytes(t *testing.T) {
	memory := platformtest.NewMemory()
	lost := false
	faulty := platformtest.NewFaulty(memory.Open(t, deployment), func(_ int, method string) platformtest.Fault {
		if lost && method == "Commit" {
			return platformtest.AnswerLost
		}
		return ""
	}, nil)
	d := bluegreen.NewDeployer(deployment, faulty, latin1Checker{}, "ann")
	d.Config.HealthCheckRetries = 0
	d.Progress = func(message string) { lost = lost || strings.HasPrefix(message, "giving up") }
	_, err := d.Create(t.Context(), desired(memory.Release("1.0.0", platformtest.Healthy)))
	if !lost || !errors.Is(err, bluegreen.HealthCheckFailed) || strings.Contains(err.Error(), "writing the ledger") {
		t.Errorf("got %v", err)
	}
}

// An instance whose check was cut short, because another one has exited, may not have written yet
// what is the matter. The error has the log of the other one alone.
func TestLogsOfThoseThatWereCheckedToTheEnd(t *testing.T) {
	h := newHarness(t)
	h.Config.HealthCheckTimeout = time.Hour
	h.Checker = slowChecker{h.Checker, "green-1"}
	err := h.DeployAndSwitch(t.Context(), h.memory.Release("3.0.0", platformtest.Crashing))
	var unhealthy *bluegreen.UnhealthyError
	if !errors.As(err, &unhealthy) || len(unhealthy.Instances) != 2 {
		t.Fatalf("got %v", err)
	}
	for _, instance := range unhealthy.Instances {
		if hasLogs := len(instance.Logs) > 0; hasLogs != (instance.Instance.ID == "green-2") {
			t.Errorf("%s has the log %q", instance.Instance.ID, instance.Logs)
		}
	}
}

// slowChecker is a checker that finds nothing out about the instance called slow.
type slowChecker struct {
	bluegreen.Checker
	slow string
}

func (c slowChecker) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	if target.ID() != c.slow {
		return c.Checker.Await(ctx, target)
	}
	<-ctx.Done()
	return bluegreen.Verdict{"state": ctx.Err()}
}
