// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// bench is a deployment with 1.0.0 standing by for 2.0.0, seen through a faulty platform.
type bench struct {
	*testing.T
	*bluegreen.Deployer
	memory *platformtest.Memory
	faulty *platformtest.Faulty
	// fails names the method whose every call fails from now on.
	fails string
	// progress is what the operations told.
	progress []string
}

func newBench(t *testing.T) *bench {
	b := &bench{T: t, memory: platformtest.NewMemory()}
	process := b.memory.Open(t, deployment)
	t.Cleanup(process.Kill)
	b.faulty = platformtest.NewFaulty(process, func(_ int, method string) platformtest.Fault {
		if method == b.fails {
			return platformtest.Fails
		}
		return ""
	}, nil)
	b.Deployer = bluegreen.NewDeployer(deployment, b.faulty, b.memory.Checker(), "ann@host (pid 1)")
	b.Progress = func(message string) { b.progress = append(b.progress, message) }
	if _, err := b.Create(t.Context(), desired(b.release("1.0.0"))); err != nil {
		t.Fatal(err)
	}
	if err := b.DeployAndSwitch(t.Context(), b.release("2.0.0")); err != nil {
		t.Fatal(err)
	}
	return b
}

func (b *bench) release(version string) bluegreen.Release {
	return b.memory.Release(version, platformtest.Healthy)
}

func (b *bench) ledger() bluegreen.Ledger {
	b.Helper()
	b.fails = ""
	l, err := b.faulty.Load(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	return l
}

// commitsOf counts the writes that operate makes.
func (b *bench) commitsOf(operate func()) int {
	before := b.commits()
	operate()
	return b.commits() - before
}

func (b *bench) commits() (n int) {
	for _, method := range b.faulty.Calls() {
		if method == "Commit" {
			n++
		}
	}
	return n
}

func (b *bench) serves(version string) {
	b.Helper()
	if got := b.memory.Serves(b, deployment); got != version {
		b.Errorf("%q serves, want %q", got, version)
	}
}

func TestRollbackIsOneWrite(t *testing.T) {
	b := newBench(t)
	planned := b.ledger()
	want := desired(b.release("2.0.0"))
	want.Rollback = true
	if n := b.commitsOf(func() {
		if _, err := b.Apply(t.Context(), planned, want); err != nil {
			t.Fatal(err)
		}
	}); n != 1 {
		t.Errorf("a rollback takes %d writes", n)
	}
	b.serves("1.0.0")
}

func TestSettingsAloneAreOneWrite(t *testing.T) {
	b := newBench(t)
	planned := b.ledger()
	b.Config.HistoryLimit = 5
	if n := b.commitsOf(func() {
		if _, err := b.Apply(t.Context(), planned, desired(b.release("2.0.0"))); err != nil {
			t.Fatal(err)
		}
	}); n != 1 {
		t.Errorf("settings take %d writes", n)
	}
	if got := b.ledger().HistoryLimit; got != 5 {
		t.Errorf("the history limit is %d", got)
	}
}

func TestTroubleWithTheOldSideIsAWarning(t *testing.T) {
	for _, fails := range []string{"Drain", "Remove"} {
		b := newBench(t)
		planned := b.ledger()
		want := desired(b.release("2.0.0"))
		want.KeepStandby = false
		b.fails = fails
		warnings, err := b.Apply(t.Context(), planned, want)
		if err != nil || len(warnings) != 1 || !errors.Is(warnings[0], platformtest.ErrInjected) || !errors.Is(warnings[0], bluegreen.DeployFailed) {
			t.Errorf("%s fails: warnings %v, error %v", fails, warnings, err)
		}
		b.serves("2.0.0")
		b.fails = ""
		// The next run finishes it.
		if _, err := b.Apply(t.Context(), b.ledger(), want); err != nil {
			t.Fatal(err)
		}
		if left, err := b.faulty.Instances(t.Context(), bluegreen.Green); err != nil || len(left) != 0 {
			t.Errorf("left over: %v, %v", left, err)
		}
	}
}

func TestUnreachablePlatformIsSaidAndLiveStays(t *testing.T) {
	operations := map[string]func(b *bench) error{
		"apply":    func(b *bench) error { return b.apply("3.0.0") },
		"deploy":   func(b *bench) error { return b.DeployAndSwitch(b.Context(), b.release("3.0.0")) },
		"check":    func(b *bench) error { _, err := b.HealthCheck(b.Context()); return err },
		"scale":    func(b *bench) error { return b.Scale(b.Context(), 3) },
		"rollback": func(b *bench) error { return b.Rollback(b.Context(), "bad") },
		"cleanup":  func(b *bench) error { return b.CleanupStaging(b.Context()) },
		"status":   func(b *bench) error { _, err := b.Status(b.Context()); return err },
	}
	for name, operate := range operations {
		for _, fails := range []string{"Lock", "Load", "Instances", "Commit", "Provision", "Scale", "Drain", "Remove", "AwaitTraffic", "Observe"} {
			t.Run(name+"/"+fails, func(t *testing.T) {
				b := newBench(t)
				before := len(b.faulty.Calls())
				b.fails = fails
				err := operate(b)
				called := slices.Contains(b.faulty.Calls()[before:], fails)
				if called && !errors.Is(err, platformtest.ErrInjected) {
					t.Errorf("got %v, want the cause in it", err)
				}
				l := b.ledger()
				if err := l.Validate(); err != nil {
					t.Error(err)
				}
				b.serves(l.Slot(l.Live).Release.Version)
				if err != nil {
					b.serves("2.0.0")
				}
			})
		}
	}
}

func (b *bench) apply(version string) error {
	l, err := b.faulty.Load(b.Context())
	if err != nil {
		return err
	}
	_, err = b.Apply(b.Context(), l, desired(b.release(version)))
	return err
}

func TestCleaningUpThatFailsIsLeftToTheNextRun(t *testing.T) {
	b := newBench(t)
	b.fails = "Remove"
	err := b.DeployAndSwitch(t.Context(), b.memory.Release("3.0.0", platformtest.Crashing))
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !errors.Is(err, platformtest.ErrInjected) || !strings.Contains(err.Error(), "the next run finishes it") {
		t.Errorf("the error is %v", err)
	}
	b.fails = ""
	if err := b.Rollback(t.Context(), "none there"); !errors.Is(err, bluegreen.RollbackFailed) {
		t.Error(err)
	}
	if left, err := b.faulty.Instances(t.Context(), bluegreen.Green); err != nil || len(left) != 0 {
		t.Errorf("left over: %v, %v", left, err)
	}
}

func TestCreateThatCannotCleanUpIsTakenUpAgain(t *testing.T) {
	b := newBench(t)
	if err := b.Destroy(t.Context()); err != nil {
		t.Fatal(err)
	}
	b.fails = "Erase"
	_, err := b.Create(t.Context(), desired(b.memory.Release("1.0.0", platformtest.Crashing)))
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !errors.Is(err, platformtest.ErrInjected) || !strings.Contains(err.Error(), "the next run finishes it") {
		t.Errorf("the error is %v", err)
	}
	b.fails = ""
	if _, err := b.Create(t.Context(), desired(b.release("1.0.1"))); err != nil {
		t.Error(err)
	}
	b.serves("1.0.1")
}

func TestDestroyedByHalfIsMadeAfresh(t *testing.T) {
	b := newBench(t)
	planned := b.ledger()
	b.fails = "Erase"
	if err := b.Destroy(t.Context()); !errors.Is(err, platformtest.ErrInjected) {
		t.Fatal(err)
	}
	b.serves("")
	if _, err := b.Apply(t.Context(), planned, desired(b.release("3.0.0"))); !errors.Is(err, bluegreen.ErrPlanStale) {
		t.Errorf("got %v, want a stale plan", err)
	}
	if err := b.DeployAndSwitch(t.Context(), b.release("3.0.0")); !errors.Is(err, bluegreen.InvalidState) {
		t.Errorf("got %v, want an invalid state", err)
	}
	if _, err := b.Apply(t.Context(), b.ledger(), desired(b.release("3.0.0"))); err != nil {
		t.Fatal(err)
	}
	b.serves("3.0.0")
	if l := b.ledger(); l.Sequence != 1 || l.Destroying {
		t.Errorf("the ledger is %+v", l)
	}
}

func TestDestroyOfNothingIsDone(t *testing.T) {
	b := newBench(t)
	for range 2 {
		if err := b.Destroy(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	b.serves("")
}

func TestCreateCannotRollBack(t *testing.T) {
	b := newBench(t)
	want := desired(b.release("1.0.0"))
	want.Rollback = true
	if _, err := b.Create(t.Context(), want); !errors.Is(err, bluegreen.ErrNothingToRollBackTo) || !errors.Is(err, bluegreen.RollbackFailed) {
		t.Errorf("got %v", err)
	}
}

func TestEvidenceIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, memory, _ := clinic(t, func(_ string, since time.Duration) bool { return since >= 7*time.Second })
		if _, err := d.Create(t.Context(), desired(four(memory, "1.0.0"))); err != nil {
			t.Fatal(err)
		}
		status, err := d.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		record, _ := status.Ledger.LiveRecord()
		h := record.Health
		if h == nil || !h.Healthy || h.ChecksPassed != 4 || h.ChecksFailed != 0 || h.Duration != 7*time.Second || len(h.Instances) != 4 || !h.Details["green-3 http"] || h.Causes != nil {
			t.Errorf("the evidence is %+v", h)
		}
	})
}

func TestEvidenceOfAFailureIsKept(t *testing.T) {
	b := newBench(t)
	b.Config.HealthCheckRetries = 2
	if err := b.DeployAndSwitch(t.Context(), b.memory.Release("3.0.0", platformtest.Unhealthy)); !errors.Is(err, bluegreen.HealthCheckFailed) {
		t.Fatal(err)
	}
	l := b.ledger()
	record, _ := l.Record(l.Green.Record)
	h := record.Health
	if h == nil || h.Healthy || h.ChecksFailed != 2 || h.ChecksPassed != 0 || h.Causes["green-1 state"] != `it says "unhealthy"` || h.Details["green-1 state"] {
		t.Errorf("the evidence is %+v", h)
	}
	if record.Reason != `2 of 2 replicas unhealthy: replica green-1: state: it says "unhealthy"; replica green-2: state: it says "unhealthy"` {
		t.Errorf("the reason is %q", record.Reason)
	}
	var attempts []string
	for _, message := range b.progress {
		if strings.HasPrefix(message, "attempt") {
			attempts = append(attempts, message[:len("attempt 1 of 3")])
		}
	}
	if !slices.Equal(attempts, []string{"attempt 1 of 3", "attempt 2 of 3"}) {
		t.Errorf("told of %q", attempts)
	}
}

// What has exited does not come back for another attempt.
func TestNoAttemptIsMadeOnWhatHasExited(t *testing.T) {
	b := newBench(t)
	b.Config.HealthCheckRetries = 2
	began := len(b.progress)
	err := b.DeployAndSwitch(t.Context(), b.memory.Release("3.0.0", platformtest.Crashing))
	var unhealthy *bluegreen.UnhealthyError
	if !errors.As(err, &unhealthy) || unhealthy.Unhealthy != 2 {
		t.Fatalf("got %v", err)
	}
	for _, message := range b.progress[began:] {
		if strings.HasPrefix(message, "attempt") {
			t.Errorf("told of %q", message)
		}
	}
}

func TestNoEvidenceWithoutAProbe(t *testing.T) {
	b := newBench(t)
	b.Progress = func(message string) {
		if strings.HasPrefix(message, "checking") {
			b.fails = "Instances"
		}
	}
	err := b.DeployAndSwitch(t.Context(), b.release("3.0.0"))
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !errors.Is(err, platformtest.ErrInjected) {
		t.Fatal(err)
	}
	l := b.ledger()
	if record, _ := l.Record(l.Green.Record); record.Health != nil || record.Status != bluegreen.StatusFailed {
		t.Errorf("the record is %+v", record)
	}
}

func TestStatusCountsWhatRuns(t *testing.T) {
	b := newBench(t)
	status, err := b.Status(t.Context())
	if err != nil || status.Running[bluegreen.Blue] != 2 || status.Running[bluegreen.Green] != 2 || status.Endpoint == "" || status.Preview == "" {
		t.Fatalf("%+v, %v", status, err)
	}
	for percent, running := range map[int]int{100: 2, 50: 1, 1: 1} {
		status.Running[bluegreen.Green] = running
		if !status.CanRollBack(percent) {
			t.Errorf("with %d of 2 running and %d %% needed no rollback", running, percent)
		}
		status.Running[bluegreen.Green] = running - 1
		if status.CanRollBack(percent) {
			t.Errorf("with %d of 2 running and %d %% needed a rollback", running-1, percent)
		}
		// One more runs, which cannot do its work.
		status.Running[bluegreen.Green], status.Unready = running, map[bluegreen.Environment]int{bluegreen.Green: 1}
		if status.CanRollBack(percent) {
			t.Errorf("with one of %d unready and %d %% needed a rollback", running, percent)
		}
		status.Unready = nil
	}
	if err := b.CleanupStaging(t.Context()); err != nil {
		t.Fatal(err)
	}
	if status, err = b.Status(t.Context()); err != nil || status.CanRollBack(1) {
		t.Errorf("rollback to nothing: %+v, %v", status, err)
	}
}

func TestStalePlanSaysHowItMovedOn(t *testing.T) {
	b := newBench(t)
	planned := b.ledger()
	other := planned
	other.Generation--
	_, err := b.Apply(t.Context(), other, desired(b.release("3.0.0")))
	if !errors.Is(err, bluegreen.ErrPlanStale) || !strings.Contains(err.Error(), "ledger generation") {
		t.Errorf("got %v", err)
	}
	if err := b.Rollback(t.Context(), "bad"); err != nil {
		t.Fatal(err)
	}
	_, err = b.Apply(t.Context(), planned, desired(b.release("3.0.0")))
	if !errors.Is(err, bluegreen.ErrPlanStale) || !strings.Contains(err.Error(), "blue was live when it was made, and green is live now") {
		t.Errorf("got %v", err)
	}
	if err := b.DeployAndSwitch(t.Context(), b.release("4.0.0")); err != nil {
		t.Fatal(err)
	}
	_, err = b.Apply(t.Context(), planned, desired(b.release("3.0.0")))
	if !errors.Is(err, bluegreen.ErrPlanStale) || !strings.Contains(err.Error(), "another release is live in blue") {
		t.Errorf("got %v", err)
	}
	b.serves("4.0.0")
}

func TestErrorsSayWhatWhereAndWhy(t *testing.T) {
	cause := errors.New("it says 503")
	err := error(&bluegreen.Error{Kind: bluegreen.SwitchFailed, Operation: "switch", Environment: bluegreen.Blue, Cause: cause})
	if !errors.Is(err, bluegreen.SwitchFailed) || !errors.Is(err, cause) || errors.Is(err, bluegreen.Timeout) {
		t.Error("the error does not match its kind and its cause alone")
	}
	if got, want := err.Error(), "switch of blue: SwitchFailed: it says 503"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	held := &bluegreen.HolderError{Holder: bluegreen.Holder{Name: "ann@host (pid 1)", Since: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}}
	if got := held.Error(); !strings.Contains(got, "ann@host (pid 1)") || !strings.Contains(got, "2026-01-02 03:04:05 UTC") {
		t.Errorf("got %q", got)
	}
}

func TestNoVerdictIsNotHealthy(t *testing.T) {
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

// What a failed release leaves is gone when the operation returns, wherever it failed.
func TestFailedReleaseIsGoneAtOnce(t *testing.T) {
	for _, fails := range []string{"Provision", "AwaitTraffic"} {
		b := newBench(t)
		b.fails = fails
		if err := b.DeployAndSwitch(t.Context(), b.release("3.0.0")); !errors.Is(err, platformtest.ErrInjected) {
			t.Fatal(err)
		}
		l := b.ledger()
		if record, _ := l.Record(l.Green.Record); l.Green.State != bluegreen.Failed || record.Status != bluegreen.StatusFailed {
			t.Errorf("%s fails: green is %s, its record %s", fails, l.Green.State, record.Status)
		}
		if left, err := b.faulty.Instances(t.Context(), bluegreen.Green); err != nil || len(left) != 0 {
			t.Errorf("%s fails: left over: %v, %v", fails, left, err)
		}
		b.serves("2.0.0")
	}
}

func TestBusyNamesTheEnvironment(t *testing.T) {
	b := newBench(t)
	unlock, err := b.memory.Open(t, deployment).Lock(t.Context(), "bob@host (pid 2)")
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	var busy *bluegreen.Error
	if err := b.DeployAndSwitch(t.Context(), b.release("3.0.0")); !errors.As(err, &busy) || busy.Environment != bluegreen.Green || busy.Kind != bluegreen.EnvironmentBusy {
		t.Errorf("got %v, want green to be busy", err)
	}
}

func TestScaleAdmitsBothSides(t *testing.T) {
	b := newBench(t)
	if err := b.Scale(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if l := b.ledger(); len(l.Blue.Passed) != 3 || len(l.Green.Passed) != 3 {
		t.Errorf("traffic may go to %v and %v", l.Blue.Passed, l.Green.Passed)
	}
}

func TestNothingIsRemovedWhereNothingIs(t *testing.T) {
	b := newBench(t)
	if err := b.CleanupStaging(t.Context()); err != nil {
		t.Fatal(err)
	}
	before := len(b.faulty.Calls())
	if err := b.Scale(t.Context(), 3); err != nil {
		t.Fatal(err)
	}
	if slices.Contains(b.faulty.Calls()[before:], "Remove") {
		t.Error("an empty environment was removed")
	}
}

// Between the check and the switch replicas may die, as long as enough are left.
func TestSwitchCountsThoseThatPassedAndLive(t *testing.T) {
	for left, switches := range map[int]bool{4: true, 2: true, 1: false} {
		b := newBench(t)
		b.Config.MinHealthyPercent = 50
		if _, err := b.Deploy(t.Context(), four(b.memory, "3.0.0")); err != nil {
			t.Fatal(err)
		}
		if _, err := b.HealthCheck(t.Context()); err != nil {
			t.Fatal(err)
		}
		shell := b.memory.Open(t, deployment)
		unlock, err := shell.Lock(t.Context(), "somebody with a shell")
		if err != nil {
			t.Fatal(err)
		}
		if err := shell.Scale(t.Context(), bluegreen.Green, left); err != nil {
			t.Fatal(err)
		}
		unlock()
		err = b.Switch(t.Context())
		if (err == nil) != switches || (err != nil && !errors.Is(err, bluegreen.SwitchFailed)) {
			t.Errorf("%d of 4 are left: %v", left, err)
		}
	}
}
