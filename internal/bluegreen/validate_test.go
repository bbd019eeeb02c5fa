// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// liveWithStandby is a ledger after two releases: 2.0.0 live in blue, 1.0.0 standing by.
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
		"a schema of the future":        {func(l *Ledger) { l.Schema = SchemaVersion + 1 }, "newer provider"},
		"no schema":                     {func(l *Ledger) { l.Schema = 0 }, "schema version 0"},
		"a third environment":           {func(l *Ledger) { l.Live = "red" }, "live: "},
		"two live":                      {func(l *Ledger) { l.Green.State = Live }, `green: state "live"`},
		"a live one that is ready":      {func(l *Ledger) { l.Blue.State = Ready }, `blue: state "ready"`},
		"an unknown state":              {func(l *Ledger) { l.Green.State = "asleep" }, `green: state "asleep"`},
		"live without a release":        {func(l *Ledger) { l.Blue.Release = nil }, "live without a release"},
		"a record without a release":    {func(l *Ledger) { l.Green.Release = nil }, "without a release"},
		"checked without a release":     {func(l *Ledger) { l.Green = Slot{State: Idle, Checked: true} }, "without a release"},
		"no replicas":                   {func(l *Ledger) { l.Green.Release = &Release{Version: "1.0.0"} }, "0 replicas"},
		"a record that is missing":      {func(l *Ledger) { l.Records = l.Records[1:] }, `record "deploy-1" is missing`},
		"a record of the other side":    {func(l *Ledger) { l.Records[0].Environment = Blue }, "belongs to another release"},
		"a record of another version":   {func(l *Ledger) { l.Records[0].Version = "9" }, "belongs to another release"},
		"a record of another release":   {func(l *Ledger) { l.Records[0].Fingerprint = "9" }, "belongs to another release"},
		"an ID from the future":         {func(l *Ledger) { l.Sequence = 1 }, `"deploy-2" is not possible`},
		"an ID twice":                   {func(l *Ledger) { l.Records = append(l.Records, Record{ID: "rollback-2"}) }, `"rollback-2" is not possible`},
		"an ID without a number":        {func(l *Ledger) { l.Records = append(l.Records, Record{ID: "deploy-x"}) }, `"deploy-x" is not possible`},
		"two live records":              {func(l *Ledger) { l.Records[0].Status = StatusLive }, "2 records are live"},
		"no live record":                {func(l *Ledger) { l.Records[1].Status = StatusReady }, "0 records are live"},
		"the wrong live record":         {func(l *Ledger) { l.Records[0].Status, l.Records[1].Status = StatusLive, StatusSuperseded }, "the one of blue only"},
		"live without a check":          {func(l *Ledger) { l.Blue.Checked = false }, "without a passed health check"},
		"serving while being destroyed": {func(l *Ledger) { l.Destroying = true }, "still live"},
		"live record, nothing live":     {func(l *Ledger) { l.Blue.State = Idle }, "deploy-2 is live, but no environment is"},
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

func TestHistoryIsNewestFirstAndLimited(t *testing.T) {
	l := liveWithStandby(t)
	l.Sequence = 9
	archived := []Record{{ID: "deploy-4"}, {ID: "rollback-7"}, {ID: "deploy-3"}, {ID: "deploy-5"}}
	for limit, want := range map[int]string{
		0: "deploy-2 deploy-1",
		2: "deploy-2 deploy-1",
		3: "rollback-7 deploy-2 deploy-1",
		5: "rollback-7 deploy-5 deploy-4 deploy-2 deploy-1",
		9: "rollback-7 deploy-5 deploy-4 deploy-3 deploy-2 deploy-1",
	} {
		l.HistoryLimit = limit
		var ids []string
		for _, r := range l.MergeHistory(archived) {
			ids = append(ids, r.ID)
		}
		if got := strings.Join(ids, " "); got != want {
			t.Errorf("with a limit of %d: %s, want %s", limit, got, want)
		}
	}
	if archived[0].ID != "deploy-4" {
		t.Error("the archive was sorted in place")
	}
}

func TestFingerprintTellsReleasesApart(t *testing.T) {
	base := Release{Version: "1", Image: "i", Replicas: 1, Command: []string{"c"}, Args: []string{"a"}, Env: map[string]string{"K": "v"}}
	same := map[string]func(*Release){
		"size":             func(r *Release) { r.Replicas = 9 },
		"digest":           func(r *Release) { r.ImageDigest = "sha256:9" },
		"old fingerprint":  func(r *Release) { r.Fingerprint = "9" },
		"a fresh env copy": func(r *Release) { r.Env = map[string]string{"K": "v"} },
	}
	other := map[string]func(*Release){
		"version":  func(r *Release) { r.Version = "2" },
		"image":    func(r *Release) { r.Image = "j" },
		"command":  func(r *Release) { r.Command = []string{"c", "a"}; r.Args = nil },
		"args":     func(r *Release) { r.Args = []string{"b"} },
		"env":      func(r *Release) { r.Env = map[string]string{"K": "w"} },
		"env name": func(r *Release) { r.Env = map[string]string{"L": "v"} },
		"settings": func(r *Release) { r.Settings = settings("memory 512m") },
	}
	want := base.Seal()
	if len(want.Fingerprint) != 64 || want.Env != nil || base.Env == nil {
		t.Fatalf("sealed: %+v of %+v", want, base)
	}
	for name, edit := range same {
		r := base
		edit(&r)
		if r.Seal().Fingerprint != want.Fingerprint {
			t.Errorf("%s makes another release of it", name)
		}
	}
	for name, edit := range other {
		r := base
		edit(&r)
		if r.Seal().Fingerprint == want.Fingerprint {
			t.Errorf("%s makes no other release of it", name)
		}
	}
	null, empty := Release{Version: "1"}, Release{Version: "1", Command: []string{}, Args: []string{}, Env: map[string]string{}}
	if null.Seal().Fingerprint != empty.Seal().Fingerprint {
		t.Error("null and empty differ")
	}
}

func TestRequiredIsRoundedUp(t *testing.T) {
	for _, c := range []struct{ n, percent, want int }{
		{1, 100, 1}, {3, 100, 3}, {3, 67, 3}, {3, 66, 2}, {3, 34, 2}, {3, 33, 1}, {3, 1, 1}, {10, 50, 5}, {10, 51, 6}, {100, 1, 1}, {0, 100, 0},
	} {
		if got := requiredReplicas(c.n, c.percent); got != c.want {
			t.Errorf("%d %% of %d are %d, want %d", c.percent, c.n, got, c.want)
		}
	}
}

func TestEnvironmentNames(t *testing.T) {
	for _, env := range Environments() {
		if got, err := ParseEnvironment(env.String()); err != nil || got != env {
			t.Errorf("%s parses as %s, %v", env, got, err)
		}
		if env.Other() == env || env.Other().Other() != env {
			t.Errorf("the other of %s is %s", env, env.Other())
		}
	}
	if _, err := ParseEnvironment("Blue"); err == nil || !strings.Contains(err.Error(), `"blue" or "green"`) {
		t.Errorf("got %v, want an error that names both", err)
	}
}

// settings are those of a platform of which only their identity matters.
type settings string

func (s settings) Identity() string { return string(s) }
