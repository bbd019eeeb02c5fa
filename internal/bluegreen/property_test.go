// SPDX-License-Identifier: MPL-2.0

package bluegreen_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen/platformtest"
)

// TestPropertyInvariants runs random operations on a deployment, with faults at random
// calls. It checks the invariants after every commit. After every operation it checks
// that clients get what the ledger says and what the operation promised.
//
// The long run is `go test -run Property -rapid.checks=100000`.
func TestPropertyInvariants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// With the type *testing.T, rapid asks for the deadline, which a bubble does not have.
		rapid.Check(struct{ *testing.T }{t}, func(rt *rapid.T) {
			m := &model{T: t, rt: rt, memory: platformtest.NewMemory(), seen: map[string]bluegreen.Record{}}
			for range rapid.IntRange(1, 12).Draw(rt, "operations") {
				m.operate()
			}
			m.converge()
		})
	})
}

// model runs the operations and knows what has been committed.
type model struct {
	*testing.T
	rt       *rapid.T
	memory   *platformtest.Memory
	releases int
	// last is the ledger of the last commit, seen has every record by its ID.
	last *bluegreen.Ledger
	// ctx is the context of the operation that runs.
	ctx context.Context
	// applied is what the apply that runs asks for, nil during another operation.
	applied *bluegreen.Desired
	// wasOvertaken is set once another process has run an operation during it.
	wasOvertaken bool
	seen         map[string]bluegreen.Record
	// newest is the highest sequence number of any commit since the deployment was created.
	newest int
}

// operate runs one operation in a process of its own, maybe with a fault, an interrupt or
// another process that takes the lock meanwhile.
func (m *model) operate() {
	process := m.memory.Open(m, deployment)
	at := rapid.IntRange(0, 25).Draw(m.rt, "fault at call")
	fault := rapid.SampledFrom(append(platformtest.Faults(), interrupted, overtaken)).Draw(m.rt, "fault")
	before := m.serves()
	ctx, interrupt := m.context()
	defer interrupt()
	m.wasOvertaken, m.applied = false, nil
	faulty := platformtest.NewFaulty(process, func(n int, method string) platformtest.Fault {
		switch {
		case n != at, fault == overtaken && method == "Lock":
			return ""
		case fault == interrupted:
			interrupt()
			return ""
		case fault == overtaken:
			process.Kill()
			m.overtake()
			before, m.wasOvertaken = m.serves(), true
			return ""
		default:
			return fault
		}
	}, m.committed)
	d := m.deployer(slowTraffic{faulty, rapid.IntRange(0, 3).Draw(m.rt, "seconds that traffic takes")})
	operation := rapid.SampledFrom(operations).Draw(m.rt, "operation")
	m.ctx = ctx
	promise, err := operation.run(m, d)
	process.Kill()

	after := m.serves()
	m.checkThatClientsSeeTheLedger(after)
	if err == nil && !faulty.IsDead() && !m.wasOvertaken && promise != nil && after != *promise {
		m.rt.Fatalf("%s succeeded, and a client is answered with %q instead of %q", operation.name, after, *promise)
	}
	isPromised := ctx.Err() != nil && promise != nil && after == *promise
	if len(faulty.Calls()) < at && err != nil && operation.keepsLive && after != before && !isPromised {
		m.rt.Fatalf("%s failed with %v, and what is served went from %q to %q", operation.name, err, before, after)
	}
}

// Two faults of the model, besides those of one call.
const (
	// interrupted: the operation's context is cancelled.
	interrupted platformtest.Fault = "interrupted"
	// overtaken: the process loses its lock, and another process runs an operation.
	overtaken platformtest.Fault = "overtaken"
)

// context returns the context of an operation, which may have a deadline.
func (m *model) context() (context.Context, context.CancelFunc) {
	if seconds := rapid.IntRange(0, 8).Draw(m.rt, "seconds until the deadline, 0 for none"); seconds > 0 {
		// Half a second more, so that nothing else happens at the same moment.
		return context.WithTimeout(context.Background(), time.Duration(seconds)*time.Second+time.Second/2)
	}
	return context.WithCancel(context.Background())
}

// overtake runs an operation in another process.
func (m *model) overtake() {
	applied := m.applied
	m.applied = nil
	defer func() { m.applied = applied }()
	process := m.memory.Open(m, deployment)
	defer process.Kill()
	d := m.deployer(platformtest.NewFaulty(process, nil, m.committed))
	release := m.release()
	if _, err := d.Create(context.Background(), desired(release)); errors.Is(err, bluegreen.ErrExists) {
		_ = d.DeployAndSwitch(context.Background(), release)
	}
}

// slowTraffic is a platform whose traffic follows a switch after some seconds.
type slowTraffic struct {
	*platformtest.Faulty
	seconds int
}

func (p slowTraffic) AwaitTraffic(ctx context.Context, env bluegreen.Environment) error {
	if err := sleep(ctx, p.seconds); err != nil {
		return err
	}
	return p.Faulty.AwaitTraffic(ctx, env)
}

func (p slowTraffic) Drain(ctx context.Context, env bluegreen.Environment) error {
	if err := sleep(ctx, p.seconds); err != nil {
		return err
	}
	return p.Faulty.Drain(ctx, env)
}

// sleep waits for some seconds, or until ctx ends.
func sleep(ctx context.Context, seconds int) error {
	select {
	case <-time.After(time.Duration(seconds) * time.Second):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// deployer returns a Deployer with a configuration that is drawn.
func (m *model) deployer(platform bluegreen.Platform) *bluegreen.Deployer {
	d := bluegreen.NewDeployer(deployment, platform, m.memory.Checker(), "property")
	d.Config.HealthCheckRetries = rapid.IntRange(0, 1).Draw(m.rt, "retries")
	d.Config.UnhealthyThreshold = rapid.IntRange(1, 3).Draw(m.rt, "unhealthy threshold")
	d.Config.SwitchTimeout = time.Duration(rapid.IntRange(2, 10).Draw(m.rt, "switch timeout")) * time.Second
	d.Config.HistoryLimit = rapid.IntRange(2, 4).Draw(m.rt, "history limit")
	return d
}

// serves returns the version that clients get.
func (m *model) serves() string { return m.memory.Serves(m, deployment) }

// committed checks a commit against the invariants and against the commit before it.
func (m *model) committed(l bluegreen.Ledger) {
	if err := l.Validate(); err != nil {
		m.rt.Fatalf("after a commit: %v", err)
	}
	if m.last == nil || l.Generation == 1 {
		m.seen, m.newest = map[string]bluegreen.Record{}, 0
	} else {
		m.checkSuccessor(*m.last, l)
	}
	m.checkRecords(l)
	m.checkFingerprints(l)
	m.last = &l
}

// checkSuccessor checks that the commit after may follow before. Traffic moves only to a
// release that has passed its health check, or back to where it came from.
func (m *model) checkSuccessor(before, after bluegreen.Ledger) {
	if after.Generation != before.Generation+1 {
		m.rt.Fatalf("generation %d follows %d", after.Generation, before.Generation)
	}
	was, served := before.LiveRecord()
	is, serves := after.LiveRecord()
	switch {
	case !serves, served && was.ID == is.ID:
		return
	case is.Status != bluegreen.StatusLive:
		m.rt.Fatalf("what is live has the record %+v", is)
	case is.Operation == bluegreen.OpRollback && m.seen[is.ID].ID == "":
		if target, ok := before.RollbackTarget(); !ok || target.Fingerprint != is.Fingerprint {
			m.rt.Fatalf("a rollback from %+v brought %+v", before, is)
		}
	case m.seen[is.ID].Status == bluegreen.StatusSuperseded, m.seen[is.ID].Status == bluegreen.StatusRolledBack:
		if was.Replaced != is.ID {
			m.rt.Fatalf("%s came back although %s had not replaced it", is.ID, was.ID)
		}
	default:
		m.checkThatNothingHeldGoesLive(was, is)
		slot := before.Slot(is.Environment)
		passed := slot.State == bluegreen.Ready && slot.Checked && is.Health != nil && is.Health.Healthy
		if !passed || slot.Record != is.ID {
			m.rt.Fatalf("%s went live from %+v with the evidence %+v", is.ID, slot, is.Health)
		}
	}
}

// checkThatNothingHeldGoesLive checks that an apply does not bring a release live again
// that a watch or an operator took back, unless its record is to be tried again.
func (m *model) checkThatNothingHeldGoesLive(was, is bluegreen.Record) {
	isHeld := m.seen[was.Replaced].Version == is.Version && was.Operation == bluegreen.OpRollback &&
		was.Origin != bluegreen.FromConfiguration
	if m.applied != nil && isHeld && m.applied.Retry != was.Replaced {
		m.rt.Fatalf("%s brings the release back that %s took out of service", is.ID, was.ID)
	}
}

// checkRecords checks that no ID is used twice, that a failed record stays failed, and
// that no record changes its release.
func (m *model) checkRecords(l bluegreen.Ledger) {
	for _, r := range l.Records {
		old, known := m.seen[r.ID]
		if known && (old.Version != r.Version || old.Environment != r.Environment ||
			!old.DeployedAt.Equal(r.DeployedAt)) {
			m.rt.Fatalf("the record %+v has become %+v", old, r)
		}
		if known && old.Status == bluegreen.StatusFailed && r.Status != bluegreen.StatusFailed {
			m.rt.Fatalf("%s had failed and is %s", r.ID, r.Status)
		}
		m.seen[r.ID] = r
	}
	if l.Sequence < m.newest {
		m.rt.Fatalf("the sequence went back from %d to %d", m.newest, l.Sequence)
	}
	m.newest = l.Sequence
}

// checkFingerprints checks that nobody can guess what is in the environment variables of a
// release from the ledger.
func (m *model) checkFingerprints(l bluegreen.Ledger) {
	for _, r := range l.Records {
		if !strings.HasPrefix(r.Fingerprint, "hmac-sha256:") {
			m.rt.Fatalf("the fingerprint of %s needs no key: %s", r.ID, r.Fingerprint)
		}
	}
	encoded, err := json.Marshal(l)
	if err != nil {
		m.rt.Fatal(err)
	}
	if l.IsServing() && l.Key == "" || l.Key != "" && strings.Contains(string(encoded), string(l.Key)) {
		m.rt.Fatalf("the key is lost, or is in the ledger: %s", encoded)
	}
}

// checkThatClientsSeeTheLedger checks that clients get the version that the ledger says.
func (m *model) checkThatClientsSeeTheLedger(served string) {
	l, err := m.memory.Open(m, deployment).Load(context.Background())
	want := ""
	if err == nil && l.IsServing() {
		want = l.Slot(l.Live).Release.Version
	} else if err != nil && !errors.Is(err, bluegreen.ErrNotFound) {
		m.rt.Fatal(err)
	}
	if served != want {
		m.rt.Fatalf("a client is answered with %q, and the ledger says %q", served, want)
	}
}

// converge runs what a user would run next, without faults, and checks the history.
func (m *model) converge() {
	process := m.memory.Open(m, deployment)
	defer process.Kill()
	d := m.deployer(platformtest.NewFaulty(process, nil, m.committed))
	release := m.memory.Release("last", platformtest.Healthy)
	ledger, err := process.Load(context.Background())
	if err == nil && ledger.Created {
		_, err = d.Apply(context.Background(), ledger, desired(release))
	} else {
		_, err = d.Create(context.Background(), desired(release))
	}
	if err != nil {
		m.rt.Fatalf("the next run does not converge: %v", err)
	}
	if got := m.serves(); got != "last" {
		m.rt.Fatalf("the next run converges to %q", got)
	}
	m.checkHistory(process)
}

// checkHistory checks that every record ever committed is either in the archive or in
// the ledger, and that the archive has closed records only.
func (m *model) checkHistory(process platformtest.Process) {
	archived, err := process.History(context.Background())
	if err != nil {
		m.rt.Fatal(err)
	}
	all := slices.Concat(archived, m.last.Records)
	if len(all) != len(m.seen) {
		m.rt.Fatalf("there were %d records, and %d are left", len(m.seen), len(all))
	}
	for _, r := range archived {
		open := []bluegreen.RecordStatus{bluegreen.StatusLive, bluegreen.StatusReady, bluegreen.StatusInProgress}
		if slices.Contains(open, r.Status) {
			m.rt.Fatalf("the archive holds %+v", r)
		}
	}
	history := m.last.MergeHistory(archived)
	if len(history) > max(m.last.HistoryLimit, len(m.last.Records)) {
		m.rt.Fatalf("the history is longer than its limit: %d", len(history))
	}
}
