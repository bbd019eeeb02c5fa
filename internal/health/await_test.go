// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

func TestServiceThatIsUpPassesAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := newService(always(http.StatusOK))
		verdict := newChecker(t, health.Config{}).Await(t.Context(), instance{dial: service.dial})
		wantCauses(t, verdict, map[string]string{"http": ""})
		if want := []time.Duration{0}; !slices.Equal(service.probes, want) {
			t.Errorf("probed at %v, want %v", service.probes, want)
		}
	})
}

func TestServicePassesSoonAfterItIsUp(t *testing.T) {
	t.Parallel()
	for _, boot := range []time.Duration{
		time.Millisecond, 30 * time.Millisecond, 200 * time.Millisecond, 1700 * time.Millisecond, 10 * time.Second,
	} {
		t.Run(boot.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := newService(opensAfter(boot))
				verdict := newChecker(t, health.Config{}).Await(t.Context(), instance{dial: service.dial})
				wantCauses(t, verdict, map[string]string{"http": ""})
				late := time.Since(service.start) - boot
				if limit := min(boot/5+10*time.Millisecond, health.DefaultInterval); late > limit {
					t.Errorf("seen %s after it was up, want at most %s", late, limit)
				}
			})
		})
	}
}

func TestProbesSlowDownToTheInterval(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ interval, first, last time.Duration }{
		{interval: 200 * time.Millisecond, first: 10 * time.Millisecond, last: 200 * time.Millisecond},
		{interval: 4 * time.Millisecond, first: 4 * time.Millisecond, last: 4 * time.Millisecond},
	} {
		t.Run(test.interval.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				service := newService(opensAfter(5 * time.Second))
				newChecker(t, health.Config{Interval: test.interval}).Await(t.Context(), instance{dial: service.dial})
				pauses := make([]time.Duration, 0, len(service.probes))
				for i := range service.probes[1:] {
					pauses = append(pauses, service.probes[i+1]-service.probes[i])
				}
				if !slices.IsSorted(pauses) || pauses[0] != test.first || pauses[len(pauses)-1] != test.last {
					t.Errorf("pauses %v, want them to grow from %s to %s", pauses, test.first, test.last)
				}
			})
		})
	}
}

func TestThresholdCountsPassesInARow(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := newService(answers(200, 200, 503, 200))
		checker := newChecker(t, health.Config{HealthyThreshold: 3, Interval: 10 * time.Millisecond})
		wantCauses(t, checker.Await(t.Context(), instance{dial: service.dial}), map[string]string{"http": ""})
		want := make([]time.Duration, 6)
		for i := range want {
			want[i] = time.Duration(i) * 10 * time.Millisecond
		}
		if !slices.Equal(service.probes, want) {
			t.Errorf("probed at %v, want %v: a failure begins the count anew", service.probes, want)
		}
	})
}

func TestEveryCheckMustPassInTheSameProbes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := newService(answers(503, 200))
		var runs int
		target := instance{dial: service.dial, exec: func(context.Context, []string) error {
			if runs++; runs == 2 {
				return errors.New("exit status 3")
			}
			return nil
		}}
		checker := newChecker(t, health.Config{HTTP: &health.HTTP{}, Exec: &health.Exec{Command: []string{"ready"}}})
		wantCauses(t, checker.Await(t.Context(), target), map[string]string{"http": "", "exec": ""})
		if runs != 3 || len(service.probes) != 3 {
			t.Errorf("%d runs and %d requests, want 3 of each: each check failed once, at another time",
				runs, len(service.probes))
		}
	})
}

func TestExitedInstanceEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := newService(always(closed))
		exit := errors.New("exit status 1")
		target := instance{
			dial: service.dial,
			exec: func(context.Context, []string) error { return nil },
			exited: func(context.Context) error {
				if time.Since(service.start) < 20*time.Millisecond {
					return nil
				}
				return exit
			},
		}
		checker := newChecker(t, health.Config{HTTP: &health.HTTP{}, Exec: &health.Exec{Command: []string{"true"}}})
		verdict := checker.Await(t.Context(), target)
		wantCauses(t, verdict, map[string]string{"http": "exited: exit status 1", "exec": ""})
		if !errors.Is(verdict["http"], health.ErrExited) || !errors.Is(verdict["http"], exit) {
			t.Errorf("the cause %v does not unwrap to the exit", verdict["http"])
		}
		if waited := time.Since(service.start); waited > 50*time.Millisecond {
			t.Errorf("waited %s for an instance that was gone after 20ms", waited)
		}
	})
}

func TestInstanceThatHasExitedIsProbedOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := newService(always(closed))
		target := instance{
			dial:   service.dial,
			exec:   func(context.Context, []string) error { return nil },
			exited: func(context.Context) error { return errors.New("signal: killed") },
		}
		http := &health.HTTP{}
		wantCauses(t, newChecker(t, health.Config{HTTP: http}).Await(t.Context(), target), map[string]string{
			"http": "exited: signal: killed",
		})
		both := health.Config{HTTP: http, Exec: &health.Exec{Command: []string{"true"}}}
		wantCauses(t, newChecker(t, both).Await(t.Context(), target), map[string]string{
			"http": "exited: signal: killed",
			"exec": "",
		})
		if len(service.probes) != 2 || time.Since(service.start) != 0 {
			t.Errorf("probed at %v in two waits, want once in each", service.probes)
		}
	})
}

func TestLastCauseIsReportedAtTheDeadline(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		config   health.Config
		script   func(time.Duration, int) int
		deadline time.Duration
		want     string
	}{
		"the last of several": {
			script:   answers(closed, 503),
			deadline: 3 * time.Second,
			want:     "GET /: 503 Service Unavailable",
		},
		"the last before a probe that the deadline cut off": {
			script:   answers(500, silent),
			deadline: 3 * time.Second,
			want:     "GET /: 500 Internal Server Error",
		},
		"a probe that took too long": {
			config:   health.Config{ProbeTimeout: time.Second},
			script:   always(silent),
			deadline: 3 * time.Second,
			want:     "GET /: no answer within 1s",
		},
		"no probe was over": {
			script:   always(silent),
			deadline: 3 * time.Second,
			want:     "GET /: no probe completed: context deadline exceeded",
		},
		"too few passes": {
			config:   health.Config{HealthyThreshold: 3, Interval: 10 * time.Millisecond},
			script:   always(http.StatusOK),
			deadline: 15 * time.Millisecond,
			want:     "GET /: passed 2 of 3 times in a row: context deadline exceeded",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), test.deadline)
				defer cancel()
				service := newService(test.script)
				verdict := newChecker(t, test.config).Await(ctx, instance{dial: service.dial})
				wantCauses(t, verdict, map[string]string{"http": test.want})
				if waited := time.Since(service.start); waited != test.deadline {
					t.Errorf("waited %s, want %s", waited, test.deadline)
				}
			})
		})
	}
}

func TestWaitWithAnEndedContextReportsItsCause(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("interrupted by the user"))
	target := instance{dial: func(ctx context.Context) (net.Conn, error) { return nil, ctx.Err() }}
	checker := newChecker(t, health.Config{TCP: &health.TCP{}})
	for _, verdict := range []bluegreen.Verdict{checker.Await(ctx, target), checker.Probe(ctx, target)} {
		wantCauses(t, verdict, map[string]string{"tcp": "connect: no probe completed: interrupted by the user"})
	}
}

func TestPlatformThatHangsReportsNoExit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := newService(opensAfter(time.Second))
		target := instance{dial: service.dial, exited: func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}}
		verdict := newChecker(t, health.Config{ProbeTimeout: time.Second}).Await(t.Context(), target)
		wantCauses(t, verdict, map[string]string{"http": ""})
	})
}

func TestChecksRunAtTheSameTimeEachWithinTheProbeTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		service := newService(always(silent))
		target := instance{dial: service.dial, exec: func(ctx context.Context, _ []string) error {
			select {
			case <-ctx.Done():
				return fmt.Errorf("killed: %w", ctx.Err())
			case <-time.After(time.Minute):
				return nil
			}
		}}
		checker := newChecker(t, health.Config{
			HTTP: &health.HTTP{Path: "/healthz"},
			TCP:  &health.TCP{},
			Exec: &health.Exec{Command: []string{"wait", "secret"}},
		})
		wantCauses(t, checker.Probe(t.Context(), target), map[string]string{
			"http": "GET /healthz: no answer within 5s",
			"tcp":  "",
			"exec": "wait: no answer within 5s",
		})
		if took := time.Since(service.start); took != health.DefaultProbeTimeout {
			t.Errorf("took %s, want %s", took, health.DefaultProbeTimeout)
		}
	})
}
