// SPDX-License-Identifier: MPL-2.0

//go:build unix

package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// eventually waits until condition returns nil.
func eventually(t *testing.T, condition func() error) {
	t.Helper()
	attempt := func() (struct{}, error) { return struct{}{}, condition() }
	pause := backoff.WithBackOff(backoff.NewConstantBackOff(5 * time.Millisecond))
	if _, err := backoff.Retry(t.Context(), attempt, pause, backoff.WithMaxElapsedTime(time.Minute)); err != nil {
		t.Fatal(err)
	}
}

// twoManagers returns the managers of two programs. The second one takes over from the first.
func twoManagers() (former, next *Manager, begin func()) {
	log := slog.New(slog.DiscardHandler)
	former, next = NewManager(log), NewManager(log)
	return former, next, next.AwaitPredecessor()
}

// countingFrom is a replica that writes numbers until there is a file called "enough", and then
// waits.
const countingFrom = `i=0; until [ -e enough ]; do echo $i; i=$((i+1)); done; echo all; exec sleep 600`

// supervise has m run a shell script as the replica of dir.
func supervise(t *testing.T, m *Manager, dir, script string, adopted *Process, former <-chan struct{}) *Supervisor {
	t.Helper()
	spec := Spec{Revision: "r", Argv: []string{"/bin/sh", "-c", script}, Dir: dir}
	return m.Supervise("green-1", dir, spec, adopted, former, func() {})
}

// A replica that writes all the time is taken over by another program while it runs: every line
// is in its log, once and in order, and it goes on as the same process.
func TestNoOutputIsLostWhenAnotherProgramTakesOver(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	former, next, begin := twoManagers()
	s := supervise(t, former, dir, countingFrom, nil, nil)
	if err := s.AwaitStart(t.Context()); err != nil {
		t.Fatal(err)
	}
	mustHaveMore := func(than int) (lines []string) {
		t.Helper()
		eventually(t, func() error {
			content, err := os.ReadFile(filepath.Join(dir, outputFile))
			if lines = strings.Split(string(content), "\n"); err != nil || len(lines) <= than {
				return fmt.Errorf("%d lines, %w", len(lines), err)
			}
			return nil
		})
		return lines
	}
	mustHaveMore(100)
	former.Hold()
	state, err := ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	p, _, err := next.Adopt(dir, *state)
	if err != nil || p == nil {
		t.Fatalf("adopted is %+v, %v", p, err)
	}
	taken := supervise(t, next, dir, "exit 1", p, nil)
	t.Cleanup(func() {
		if err := taken.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	former.LetGo()
	if err := s.Stop(t.Context()); !errors.Is(err, errLetGo) {
		t.Errorf("the former program stops it: %v", err)
	}
	before := len(mustHaveMore(0))
	begin()
	mustHaveMore(before + 100)
	if err := os.WriteFile(filepath.Join(dir, "enough"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var lines []string
	eventually(t, func() error {
		if lines = mustHaveMore(0); len(lines) < 2 || lines[len(lines)-2] != "all" {
			return errors.New("it has not written everything")
		}
		return nil
	})
	for i, line := range lines[:len(lines)-2] {
		if line != fmt.Sprint(i) {
			t.Fatalf("line %d is %q", i, line)
		}
	}
	if got := taken.Status(); !got.IsRunning || got.Incarnation != state.Incarnation {
		t.Errorf("it runs as %+v, want %s", got, state.Incarnation)
	}
}

// A replica that dies while one program takes over from another is started again once, by the one
// that has it afterwards.
func TestReplicaThatDiesDuringATakeOverIsStartedAgainOnce(t *testing.T) {
	t.Parallel()
	for name, when := range map[string]string{"before it is adopted": "before", "afterwards": "after"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			former, next, begin := twoManagers()
			const script = "echo run >>runs; exec sleep 600"
			s := supervise(t, former, dir, script, nil, nil)
			if err := s.AwaitStart(t.Context()); err != nil {
				t.Fatal(err)
			}
			mustHaveRun := func(want string) {
				t.Helper()
				eventually(t, func() error {
					runs, err := os.ReadFile(filepath.Join(dir, "runs"))
					if string(runs) != want {
						return fmt.Errorf("%q, %w", runs, err)
					}
					return nil
				})
			}
			mustHaveRun("run\n")
			former.Hold()
			state, err := ReadState(dir)
			if err != nil {
				t.Fatal(err)
			}
			kill := func() {
				state.kill()
				if !state.awaitEnd(time.Now().Add(longTimeout)) {
					t.Fatal("it has not ended")
				}
			}
			if when == "before" {
				kill()
			}
			p, ended, err := next.Adopt(dir, *state)
			if err != nil {
				t.Fatal(err)
			}
			if when == "after" {
				kill()
			}
			taken := supervise(t, next, dir, script, p, ended)
			t.Cleanup(func() {
				if err := taken.Stop(context.Background()); err != nil {
					t.Error(err)
				}
			})
			former.LetGo()
			begin()
			mustHaveRun("run\nrun\n")
		})
	}
}

// If the other program fails, the one before it goes on as if nothing had been.
func TestProgramThatHoldsGoesOnWhenItResumes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	m := NewManager(slog.New(slog.DiscardHandler))
	s := supervise(t, m, dir, "exec sleep 600", nil, nil)
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := s.AwaitStart(t.Context()); err != nil {
		t.Fatal(err)
	}
	first := s.Status()
	resume := m.Hold()
	state, err := ReadState(dir)
	if err != nil {
		t.Fatal(err)
	}
	state.kill()
	eventually(t, func() error {
		if s.Status().IsRunning {
			return errors.New("its end is not known")
		}
		return nil
	})
	resume()
	eventually(t, func() error {
		if now := s.Status(); !now.IsRunning || now.Incarnation == first.Incarnation {
			return fmt.Errorf("it runs as %+v", now)
		}
		return nil
	})
}
