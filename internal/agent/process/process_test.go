// SPDX-License-Identifier: MPL-2.0

//go:build unix

package process

import (
	"bytes"
	"crypto/rand"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"
)

// longTimeout is a grace that no test uses up.
const longTimeout = time.Hour

// screen is a log that tells when something was written to it.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
	news chan struct{}
}

func newScreen() *screen { return &screen{news: make(chan struct{}, 1)} }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case s.news <- struct{}{}:
	default:
	}
	return s.text.Write(p)
}

func (s *screen) await(t *testing.T, text string) {
	t.Helper()
	for !strings.Contains(s.String(), text) {
		select {
		case <-s.news:
		case <-t.Context().Done():
			t.Fatalf("%q never came", text)
		}
	}
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// run starts a shell script as a replica. It is killed when the test ends.
func run(t *testing.T, dir, script string, log *screen) *Process {
	t.Helper()
	return runWith(t, Settings{}, dir, script, log)
}

// runWith is run with settings.
func runWith(t *testing.T, settings Settings, dir, script string, log *screen) *Process {
	t.Helper()
	return runProgram(t, settings, dir, []string{"/bin/sh", "-c", script}, log)
}

// runProgram is runWith for any program.
func runProgram(t *testing.T, settings Settings, dir string, argv []string, log *screen) *Process {
	t.Helper()
	return runFor(t, newDuty(), settings, dir, argv, log)
}

// runFor is runProgram for an agent that has this duty.
func runFor(
	t *testing.T, duty *duty, settings Settings, dir string, argv []string, log *screen,
) *Process {
	t.Helper()
	limits, err := settings.limits()
	if err != nil {
		t.Fatal(err)
	}
	state := State{Revision: "r", Incarnation: rand.Text(), Port: 20000}
	environ := append(os.Environ(), incarnationVariable+"="+state.Incarnation)
	what := program{argv: argv, dir: dir, environ: environ, limits: limits}
	p, err := start(dir, what, state, log, duty)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Terminate(killSignal, 0) })
	return p
}

func TestOutputIsCompleteWhenTheExitIsKnown(t *testing.T) {
	t.Parallel()
	log := newScreen()
	p := run(t, t.TempDir(), "echo out; echo err >&2; exit 3", log)
	<-p.exited
	if p.exit != "exit status 3" || log.String() != "out\nerr\n" {
		t.Errorf("it ended with %q and wrote %q", p.exit, log)
	}
}

func TestProcessIsAskedToEnd(t *testing.T) {
	t.Parallel()
	log := newScreen()
	p := run(t, t.TempDir(), `trap "echo bye; exit 0" TERM; echo ready; while :; do sleep 600 & wait $!; done`, log)
	log.await(t, "ready")
	p.Terminate(termSignal, longTimeout)
	if p.exit != "exit status 0" || !strings.HasSuffix(log.String(), "bye\n") {
		t.Errorf("it ended with %q and wrote %q", p.exit, log)
	}
}

func TestStubbornProcessIsKilledAfterGrace(t *testing.T) {
	t.Parallel()
	log := newScreen()
	p := run(t, t.TempDir(), `trap "" TERM; echo ready; while :; do sleep 600; done`, log)
	log.await(t, "ready")
	p.Terminate(termSignal, time.Millisecond)
	if p.exit != "signal: killed" {
		t.Errorf("it ended with %q", p.exit)
	}
}

func TestRunningProcessIsAdopted(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), newScreen()
	p := run(t, dir, `echo one; sleep 600; :`, log)
	log.await(t, "one")
	state, err := ReadState(dir)
	if err != nil || state == nil || !reflect.DeepEqual(*state, p.State) {
		t.Fatalf("noted is %+v, %v; want %+v", state, err, p.State)
	}
	adopted, err := adopt(dir, *state, newScreen(), newDuty())
	if err != nil || adopted == nil || adopted.PID != p.PID {
		t.Fatalf("adopted is %+v, %v", adopted, err)
	}
	adopted.Terminate(termSignal, longTimeout)
	<-p.exited
	if again, err := adopt(dir, *state, newScreen(), newDuty()); again != nil || err != nil {
		t.Errorf("a process that has ended is adopted: %+v, %v", again, err)
	}
}

// Another process has the pid by now.
func TestProcessWithAnotherIdentityIsLeftAlone(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), newScreen()
	p := run(t, dir, `echo ready; sleep 600; :`, log)
	log.await(t, "ready")
	state := p.State
	state.Identity = "1@before"
	if adopted, err := adopt(dir, state, newScreen(), newDuty()); adopted != nil || err != nil {
		t.Errorf("adopted is %+v, %v", adopted, err)
	}
	if !p.isRunning() {
		t.Error("it was ended")
	}
}
