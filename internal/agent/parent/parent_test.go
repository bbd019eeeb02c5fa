// SPDX-License-Identifier: MPL-2.0

//go:build unix

package parent

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestMain is two programs: the tests, and an agent that ends at once with the exit status that
// it is told.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "agent" {
		status, err := strconv.Atoi(os.Args[2])
		if err != nil || PID() != os.Getppid() {
			fmt.Println("unexpected arguments, or no parent")
			status = 0
		}
		os.Exit(status)
	}
	os.Exit(m.Run())
}

// newParent returns the parent of agents that end with these exit statuses, the second one again
// and again. It is asked to end once it has waited as often as limit says. delays are those that
// it has waited.
func newParent(t *testing.T, first, again, limit int) (p *parent, delays *[]time.Duration) {
	t.Helper()
	delays = &[]time.Duration{}
	p = &parent{
		first: []string{"agent", strconv.Itoa(first)}, again: []string{"agent", strconv.Itoa(again)},
		logPath: filepath.Join(t.TempDir(), "agent.log"), signals: make(chan os.Signal, 1),
	}
	p.pause = func(d time.Duration) <-chan time.Time {
		*delays = append(*delays, d)
		over := make(chan time.Time, 1)
		if len(*delays) < limit {
			over <- time.Now()
		} else {
			p.signals <- syscall.SIGTERM
		}
		return over
	}
	return p, delays
}

func TestRestartsComeLaterAndLater(t *testing.T) {
	t.Parallel()
	p, delays := newParent(t, 2, 1, 9)
	if status := p.run(); status != 0 {
		t.Errorf("the parent that was asked to end returns %d", status)
	}
	second := time.Second
	want := []time.Duration{
		second / 2, second, 2 * second, 4 * second, 8 * second, 16 * second, 30 * second, 30 * second, 30 * second,
	}
	if !slices.Equal(*delays, want) {
		t.Errorf("the delays are %v", *delays)
	}
	log, err := os.ReadFile(p.logPath)
	if err != nil || strings.Count(string(log), "the agent ended: exit status") != len(want) {
		t.Errorf("the log is %s, %v", log, err)
	}
}

// An agent that cannot begin to serve is not started again: who has started it is told. One that
// ends well is not needed any more.
func TestAgentThatIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ first, again, restarts, want int }{
		"it has nothing to do":              {0, 0, 0, 0},
		"it cannot begin":                   {1, 1, 0, 1},
		"it dies, and another agent serves": {2, 0, 1, 0},
		"it cannot serve any more":          {FailedToServe, 0, 1, 0},
	} {
		p, delays := newParent(t, c.first, c.again, 9)
		if status := p.run(); status != c.want || len(*delays) != c.restarts {
			t.Errorf("%s: the parent returns %d after %v", name, status, *delays)
		}
	}
}

// The directory of the agent is removed. The parent does not have the agent make it again.
func TestAgentWithoutADirectoryIsNotStartedAgain(t *testing.T) {
	t.Parallel()
	p, delays := newParent(t, 2, 2, 9)
	p.logPath = filepath.Join(t.TempDir(), "gone", "agent.log")
	if status := p.run(); status != 2 || len(*delays) != 0 {
		t.Errorf("the parent returns %d after %v", status, *delays)
	}
}

func TestProcessWithAnotherParentHasNone(t *testing.T) {
	t.Setenv(variable, strconv.Itoa(os.Getpid()))
	if pid := PID(); pid != 0 {
		t.Errorf("process %d starts this one again", pid)
	}
}
