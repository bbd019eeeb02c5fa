// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// watchedPlatform is a platform on which the one instance of green runs. Instances
// returns err if it is not nil.
type watchedPlatform struct {
	Platform
	err error
}

func (p watchedPlatform) Instances(context.Context, Environment) ([]Instance, error) {
	return []Instance{{ID: "green-1", Running: true}}, p.err
}

// scriptedChecker is a checker whose probes have these results, one after the other.
type scriptedChecker struct {
	Checker
	results []bool
}

func (c *scriptedChecker) Probe(context.Context, Target) Verdict {
	passed := c.results[0]
	c.results = c.results[1:]
	if passed {
		return Verdict{"http": nil}
	}
	return Verdict{"http": errors.New("GET /: 503")}
}

func TestWatchResultSaysWhatWasSeen(t *testing.T) {
	unreachable := errors.New("connection refused")
	for name, c := range map[string]struct {
		probes []bool
		// interrupted is when the watch is interrupted, 0 for never.
		interrupted time.Duration
		platform    error
		want        watchResult
		text        string
	}{
		"passed": {
			probes: []bool{true, true, true, true, true},
			want:   watchResult{end: watchPassed, probes: 5},
		},
		"recovered": {
			probes: []bool{true, false, false, true, true},
			want:   watchResult{end: watchPassed, probes: 5, failed: 2},
		},
		"unhealthy": {
			probes: []bool{true, false, false, false},
			want:   watchResult{end: watchFoundUnhealthy, probes: 4, failed: 3, failedInARow: 3},
		},
		"interrupted at once": {
			interrupted: time.Millisecond,
			want:        watchResult{end: watchInterrupted, cause: context.Canceled},
			text:        "interrupted before live was probed",
		},
		"interrupted while healthy": {
			probes:      []bool{true, true},
			interrupted: 2500 * time.Millisecond,
			want:        watchResult{end: watchInterrupted, probes: 2, cause: context.Canceled},
			text:        "interrupted; live passed each of 2 probes",
		},
		"interrupted after it recovered": {
			probes:      []bool{false, true},
			interrupted: 2500 * time.Millisecond,
			want:        watchResult{end: watchInterrupted, probes: 2, failed: 1, cause: context.Canceled},
			text:        "interrupted; 1 of 2 probes of live failed, the last one passed",
		},
		"interrupted while unhealthy": {
			probes:      []bool{true, false, false},
			interrupted: 3500 * time.Millisecond,
			want: watchResult{
				end: watchInterrupted, probes: 3, failed: 2, failedInARow: 2, cause: context.Canceled,
			},
			text: "the last 2 of 3 probes of live failed: 1 of 1 replicas unhealthy: replica green-1: http",
		},
		"unreachable": {
			platform: unreachable,
			want:     watchResult{end: watchCouldNotProbe, cause: unreachable},
			text:     "the platform did not answer: connection refused for too long",
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				if c.interrupted > 0 {
					time.AfterFunc(c.interrupted, interrupt)
				}
				d := NewDeployer("web", watchedPlatform{err: c.platform}, &scriptedChecker{results: c.probes}, "tester")
				d.Config.BakeTime = 5 * time.Second
				e := &executor{Deployer: d, ledger: Ledger{Live: Green, Green: Slot{Release: &Release{Replicas: 1}}}}
				got := e.watchLive(ctx, map[string]string{})
				text := ""
				if err := got.err(); err != nil {
					text = err.Error()
				}
				if (text == "") != (c.text == "") || !strings.Contains(text, c.text) {
					t.Errorf("the error is %q, want %q in it", text, c.text)
				}
				if got.probes > 0 && got.last.isHealthy() != (got.failedInARow == 0) {
					t.Errorf("%d probes in a row failed, and the last one found %+v", got.failedInARow, got.last)
				}
				got.last = finding{}
				if got.end != c.want.end || got.probes != c.want.probes || got.failed != c.want.failed ||
					got.failedInARow != c.want.failedInARow ||
					!errors.Is(got.cause, c.want.cause) {
					t.Errorf("the watch saw %+v, want %+v", got, c.want)
				}
			})
		})
	}
}

// A platform that cannot be reached for long still judges its instances at each probe.
// Its next judgement does not wait until an attempt of the health check is over again.
func TestReadinessAloneDoesNotEndTheTimeWithoutAnAnswer(t *testing.T) {
	begin := time.Unix(1, 0)
	seen := watchResult{}.withoutAnswer(ErrCouldNotAsk, begin).withReadinessOnly(finding{})
	if seen.unaskedSince != begin || seen.probes != 1 {
		t.Errorf("unasked since %v after %d probes", seen.unaskedSince, seen.probes)
	}
	if seen = seen.withProbe(finding{}); !seen.unaskedSince.IsZero() {
		t.Errorf("unasked since %v after a probe with an answer", seen.unaskedSince)
	}
}
