// SPDX-License-Identifier: MPL-2.0

package process

import (
	"strconv"
	"strings"
	"testing"
)

// A daemon that a replica leaves behind, outside of its process group, does not
// hold the agent up.
func TestDaemonThatHoldsTheOutputIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	log := newScreen()
	const script = `setsid sh -c 'echo $$ > new; mv new daemon; exec sleep 600' &
		until cat daemon 2>/dev/null; do :; done`
	p := run(t, t.TempDir(), script, log)
	<-p.exited
	pid, err := strconv.Atoi(strings.TrimSpace(log.String()))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := identify(pid)
	if err != nil {
		t.Fatalf("the daemon has ended: %v", err)
	}
	daemon := State{PID: pid, Identity: identity}
	signalGroup(daemon.PID, killSignal)
	if err := awaitNonChild(daemon); err != nil {
		pollExit(daemon)
	}
}

// The agent was killed after the start of a process and before it noted the pid.
func TestProcessWithoutANotedPIDIsFound(t *testing.T) {
	t.Parallel()
	dir, log := t.TempDir(), newScreen()
	p := run(t, dir, `echo ready; sleep 600; :`, log)
	log.await(t, "ready")
	state := p.State
	state.PID, state.Identity = 0, ""
	adopted, err := adopt(dir, state, newScreen())
	if err != nil {
		t.Fatal(err)
	}
	if adopted == nil || adopted.PID != p.PID {
		t.Fatalf("adopted is %+v, want %d", adopted, p.PID)
	}
	adopted.Terminate(longTimeout)
}
