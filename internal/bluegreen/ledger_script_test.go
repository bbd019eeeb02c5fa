// SPDX-License-Identifier: MPL-2.0

package bluegreen

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the results of now into the scripts in testdata")

// TestLedgerScripts runs the scripts in testdata. Each line that begins with ">" is
// a transition, and below it is the ledger that follows. A transition that is not
// allowed leaves the ledger as it was.
func TestLedgerScripts(t *testing.T) {
	paths, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatal("there are no scripts", err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := runScript(t, string(text))
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if got != string(text) {
				t.Errorf("the results in %s are others; run go test -run LedgerScripts -update:\n%s", path, got)
			}
		})
	}
}

// runScript runs a script and returns it with the results of now.
func runScript(t *testing.T, text string) string {
	s := &scriptRunner{ledger: NewLedger("web"), clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	var out strings.Builder
	for line := range strings.Lines(text) {
		switch {
		case strings.HasPrefix(line, "#"):
			out.WriteString(line)
		case strings.HasPrefix(line, "> "):
			out.WriteString("\n" + line)
			out.WriteString(s.run(t, strings.Fields(line[2:])))
		}
	}
	return out.String()
}

// scriptRunner has the ledger that a script has led to. Each line takes a minute.
type scriptRunner struct {
	ledger Ledger
	clock  time.Time
}

// run makes the transition of one line and prints the ledger that follows.
func (s *scriptRunner) run(t *testing.T, words []string) string {
	s.clock = s.clock.Add(time.Minute)
	if words[0] == "next" {
		return s.printNext(words[1:])
	}
	before := fmt.Sprintf("%+v", s.ledger)
	next, closed, err := s.transition(t, words)
	if after := fmt.Sprintf("%+v", s.ledger); before != after {
		t.Errorf("%v changed the ledger that it was called on from %s to %s", words, before, after)
	}
	if err != nil {
		return fmt.Sprintf("refused: %v\n", err)
	}
	s.ledger = next
	out := printLedger(next)
	for _, r := range closed {
		out += "  archived " + printRecord(r)
	}
	if err := next.Validate(); err != nil {
		out += fmt.Sprintf("impossible: %v\n", err)
	}
	return out
}

// transition returns the ledger that follows from the words of a line.
func (s *scriptRunner) transition(t *testing.T, words []string) (next Ledger, closed []Record, err error) {
	by := stamp{s.clock, "ann@host", FromConfiguration}
	l := s.ledger
	argument := strings.Join(words[1:], " ")
	switch words[0] {
	case "new":
		next = NewLedger("web")
	case "adopt":
		next = NewAdoptedLedger("web", release(words[1:]), []InstanceRef{{"blue-1", "a"}}, s.clock, "ann@host")
	case "begin-deploy":
		next, err = l.beginDeploy(release(words[1:]), by)
	case "finish-deploy":
		next, err = l.finishDeploy(argument)
	case "check":
		env := l.Staging()
		passed := []InstanceRef{{string(env) + "-1", "a"}}
		next, err = l.recordCheck(HealthResult{Healthy: argument == "pass", Instances: passed})
	case "fail":
		next, err = l.failRelease(argument)
	case "switch":
		next, err = l.switchTo(Environment(argument), s.clock)
	case "revert-switch":
		next, err = l.revertSwitch(argument)
	case "rollback":
		next, err = l.rollBack(argument, by)
	case "revert-rollback":
		next, err = l.revertRollback(argument)
	case "clear-staging":
		next, err = l.clearStaging()
	case "scale":
		next, err = l.scale(must(strconv.Atoi(argument)), false)
	case "passed":
		next = l.withPassed(Environment(argument), []InstanceRef{{argument + "-1", "a"}, {argument + "-2", "b"}})
	case "end-watch":
		next = l.endWatch()
	case "mark-created":
		next = l.markCreated()
	case "begin-destroy":
		next = l.beginDestroy()
	case "fail-interrupted":
		next = l.failInterrupted()
	case "archive":
		next, closed = l.archive()
	default:
		t.Fatalf("unknown transition %q", words[0])
	}
	return next, closed, err
}

// printNext prints what an apply would do: "next 2.0.0 2 rollback running=2,2".
func (s *scriptRunner) printNext(words []string) string {
	d := Desired{Release: release(words), Promote: true, KeepStandby: true, MinHealthyPercent: 100}
	running := map[Environment]int{}
	for _, env := range Environments() {
		if slot := s.ledger.Slot(env); slot.isMeantToRun() {
			running[env] = slot.Release.Replicas
		}
	}
	for _, word := range words {
		option, value, _ := strings.Cut(word, "=")
		switch option {
		case "preview":
			d.Promote = false
		case "rollback":
			d.Rollback = true
		case "remove":
			d.KeepStandby = false
		case "percent":
			d.MinHealthyPercent = must(strconv.Atoi(value))
		case "running":
			blue, green, _ := strings.Cut(value, ",")
			running = map[Environment]int{Blue: must(strconv.Atoi(blue)), Green: must(strconv.Atoi(green))}
		}
	}
	steps, err := s.ledger.Next(d, running)
	if err != nil {
		return fmt.Sprintf("refused: %v\n", err)
	}
	if len(steps) == 0 {
		return "nothing to do\n"
	}
	out := ""
	for _, step := range steps {
		out += fmt.Sprintf("%s\n", step)
	}
	return out + printLedger(s.ledger.Predict(steps, d))
}

// release parses "1.0.0 2": a version and, if it is not 1, a size.
func release(words []string) Release {
	r := Release{Version: words[0], Image: "web:" + words[0], Replicas: 1, Env: map[string]string{"SECRET": "x"}}
	if len(words) > 1 {
		if n, err := strconv.Atoi(words[1]); err == nil {
			r.Replicas = n
		}
	}
	return r
}

// printLedger returns a ledger as the scripts show it.
func printLedger(l Ledger) string {
	flags := ""
	for flag, set := range map[string]bool{
		"serving": l.IsServing(), "created": l.Created, "destroying": l.Destroying,
		"watch-due:" + l.WatchDue: l.WatchDue != "",
	} {
		if set {
			flags += " " + flag
		}
	}
	words := strings.Fields(flags)
	slices.Sort(words)
	out := fmt.Sprintf("  pointer at %s\n", strings.Join(append([]string{string(l.Live)}, words...), ", "))
	for _, env := range Environments() {
		slot := l.Slot(env)
		line := fmt.Sprintf("  %-5s %-9s", env, slot.State)
		if slot.Release != nil {
			line += fmt.Sprintf(" %s x%d %s", slot.Release.Version, slot.Release.Replicas, slot.Record)
			if slot.Release.ImageDigest != "" {
				line += " " + slot.Release.ImageDigest
			}
		}
		if slot.Checked {
			line += " checked"
		}
		for _, ref := range slot.Passed {
			line += " " + ref.ID + "/" + ref.Incarnation
		}
		if slot.DeployedAt != nil {
			line += " since " + slot.DeployedAt.Format("15:04")
		}
		out += strings.TrimRight(line, " ") + "\n"
	}
	for _, r := range l.Records {
		out += "  " + printRecord(r)
	}
	if target, ok := l.RollbackTarget(); ok {
		out += "  a rollback would make live " + target.ID + "\n"
	}
	if l.RolledBackFingerprint() != "" {
		out += "  the live release came from a rollback\n"
	}
	return out
}

// printRecord returns a record as the scripts show it.
func printRecord(r Record) string {
	out := fmt.Sprintf("%s %s: %s %s x%d by %s at %s",
		r.ID, r.Environment, r.Status, r.Version, r.Replicas, r.Actor, r.DeployedAt.Format("15:04"))
	if r.SwitchedAt != nil {
		out += " switched " + r.SwitchedAt.Format("15:04")
	}
	if r.RolledBackAt != nil {
		out += " rolled back " + r.RolledBackAt.Format("15:04")
	}
	if r.Replaced != "" {
		out += " replaced " + r.Replaced
	}
	if r.RolledBackFingerprint != "" {
		out += " rolled another release back"
	}
	if r.ImageDigest != "" {
		out += " " + r.ImageDigest
	}
	if r.Health != nil {
		out += fmt.Sprintf(" healthy=%t", r.Health.Healthy)
	}
	if r.Reason != "" {
		out += fmt.Sprintf(" (%s)", r.Reason)
	}
	return out + "\n"
}

// must returns v and panics if err is not nil.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
