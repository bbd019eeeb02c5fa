// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// liveWithStandby returns a ledger with 2.0.0 live in blue and 1.0.0 as the standby.
func liveWithStandby(t *testing.T) Ledger {
	t.Helper()
	s := &scriptRunner{ledger: NewLedger("web"), clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	for _, line := range []string{
		"begin-deploy 1.0.0 2", "finish-deploy sha256:1", "check pass", "switch green",
		"begin-deploy 2.0.0 2", "finish-deploy sha256:2", "check pass", "switch blue", "end-watch", "mark-created",
	} {
		if out := s.run(t, strings.Fields(line)); strings.HasPrefix(out, "refused") {
			t.Fatal(out)
		}
	}
	if err := s.ledger.Validate(); err != nil {
		t.Fatal(err)
	}
	return s.ledger
}

func TestValidateRefusesWhatTheEngineNeverWrites(t *testing.T) {
	edits := map[string]struct {
		edit func(*Ledger)
		want string
	}{
		"a schema of the future":   {func(l *Ledger) { l.Schema = SchemaVersion + 1 }, "newer version of the provider"},
		"no schema":                {func(l *Ledger) { l.Schema = 0 }, "schema version 0"},
		"a third environment":      {func(l *Ledger) { l.Live = "red" }, "live: "},
		"two live":                 {func(l *Ledger) { l.Green.State = Live }, `green: state "live"`},
		"a live one that is ready": {func(l *Ledger) { l.Blue.State = Ready }, `blue: state "ready"`},
		"an unknown state": {func(l *Ledger) {
			l.Green.State = "asleep"
		}, `green: state "asleep"`},
		"live without a release":     {func(l *Ledger) { l.Blue.Release = nil }, "live without a release"},
		"a record without a release": {func(l *Ledger) { l.Green.Release = nil }, "without a release"},
		"checked without a release": {func(l *Ledger) {
			l.Green = Slot{State: Idle, Checked: true}
		}, "without a release"},
		"no replicas": {func(l *Ledger) {
			l.Green.Release = &Release{Version: "1.0.0"}
		}, "0 replicas"},
		"a record that is missing": {func(l *Ledger) {
			l.Records = l.Records[1:]
		}, `record "deploy-1" is missing`},
		"a record of the other side": {func(l *Ledger) {
			l.Records[0].Environment = Blue
		}, "belongs to another release"},
		"a record of another version": {func(l *Ledger) {
			l.Records[0].Version = "9"
		}, "belongs to another release"},
		"a record of another release": {func(l *Ledger) {
			l.Records[0].Fingerprint = "9"
		}, "belongs to another release"},
		"an ID from the future": {func(l *Ledger) { l.Sequence = 1 }, `"deploy-2" is not possible`},
		"an ID twice": {func(l *Ledger) {
			l.Records = append(l.Records, Record{ID: "rollback-2"})
		}, `"rollback-2" is not possible`},
		"an ID without a number": {func(l *Ledger) {
			l.Records = append(l.Records, Record{ID: "deploy-x"})
		}, `"deploy-x" is not possible`},
		"two live records": {func(l *Ledger) {
			l.Records[0].Status = StatusLive
		}, "2 records are live"},
		"no live record": {func(l *Ledger) {
			l.Records[1].Status = StatusReady
		}, "0 records are live"},
		"the wrong live record": {func(l *Ledger) {
			l.Records[0].Status, l.Records[1].Status = StatusLive, StatusSuperseded
		}, "the one of blue only"},
		"live without a check": {func(l *Ledger) {
			l.Blue.Checked = false
		}, "without a passed health check"},
		"serving while being destroyed": {func(l *Ledger) { l.Destroying = true }, "still live"},
		"live record, nothing live": {func(l *Ledger) {
			l.Blue.State = Idle
		}, "deploy-2 is live, but no environment is"},
		"was live, nothing is": {func(l *Ledger) {
			l.Blue.State, l.Records[1].Status = Idle, StatusRolledBack
		}, "something has been live"},
	}
	for name, c := range edits {
		t.Run(name, func(t *testing.T) {
			l := liveWithStandby(t)
			l.Records = slices.Clone(l.Records)
			c.edit(&l)
			if err := l.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want an error with %q", err, c.want)
			}
		})
	}
}

func TestValidateAcceptsARollback(t *testing.T) {
	l, err := liveWithStandby(t).rollBack("slow", stamp{})
	if err != nil {
		t.Fatal(err)
	}
	// A baseline that was adopted has never been checked, and may be rolled back to.
	l.Green.Checked = false
	if err := l.Validate(); err != nil {
		t.Error(err)
	}
}
