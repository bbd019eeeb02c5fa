// SPDX-License-Identifier: MPL-2.0

package process

import (
	"crypto/rand"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// What a replica starts in a session of its own, and leaves to others, ends with the replica.
// The replica ends by itself at the end of its script, or is stopped while it runs.
func TestStraysEndWithTheirProcess(t *testing.T) {
	t.Parallel()
	const await = "\nuntil [ -s stray ]; do :; done; "
	const sleeper = `sh -c 'echo $$ >new; mv new stray; exec sleep 600' &`
	const daemon = `setsid ` + sleeper
	const stay = `echo ready; sleep 600; :`
	for name, script := range map[string]string{
		"a daemon of a process that ends":     `(` + daemon + `)` + await + `echo ready`,
		"a daemon of one that is stopped":     `(` + daemon + `)` + await + stay,
		"a child that hides its incarnation":  `env -i ` + daemon + await + stay,
		"a group of its own in the session":   `set -m; env -i ` + sleeper + await + `echo ready`,
		"a daemon that ignores SIGTERM":       `trap "" TERM; (` + daemon + `)` + await + `trap - TERM; ` + stay,
		"a daemon that one that died started": `(` + daemon + `)` + await + `echo ready; kill -9 $$`,
		"a daemon that hides its incarnation": `(env -i ` + daemon + `)` + await + stay,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir, log := t.TempDir(), newScreen()
			p := run(t, dir, script, log)
			log.await(t, "ready")
			p.Terminate(termSignal, longTimeout)
			if stray := strayIn(t, dir); stray.isAlive() {
				t.Errorf("process %d is left", stray.PID)
			}
			if p.strays != nil {
				t.Error(p.strays)
			}
		})
	}
}

// strayIn returns the process whose pid is in the file "stray".
func strayIn(t *testing.T, dir string) State {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, "stray"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	identity, err := identify(pid)
	if err != nil {
		return State{}
	}
	stray := State{PID: pid, Identity: identity}
	t.Cleanup(stray.kill)
	return stray
}

// Each replica ends what it has started itself, and an adopted one does too.
func TestStraysOfOthersAreLeftAlone(t *testing.T) {
	t.Parallel()
	const script = `(setsid sh -c 'echo $$ >new; mv new stray; exec sleep 600' &); until [ -s stray ]; do :; done
		echo ready; sleep 600; :`
	dirs, processes := [2]string{t.TempDir(), t.TempDir()}, [2]*Process{}
	for i, dir := range dirs {
		log := newScreen()
		processes[i] = run(t, dir, script, log)
		log.await(t, "ready")
	}
	adopted, err := adopt(dirs[0], processes[0].State, newScreen(), newDuty())
	if err != nil {
		t.Fatal(err)
	}
	adopted.Terminate(termSignal, longTimeout)
	if stray := strayIn(t, dirs[0]); stray.isAlive() {
		t.Errorf("process %d is left", stray.PID)
	}
	if stray := strayIn(t, dirs[1]); !stray.isAlive() {
		t.Error("what the other replica has started has ended")
	}
}

// A replica has ended while no agent ran.
func TestStraysOfAnEndedProcessAreNotAdopted(t *testing.T) {
	t.Parallel()
	dir, state := t.TempDir(), State{Incarnation: rand.Text(), PID: noProcess}
	stray := exec.Command("sleep", "600")
	stray.Env = append(os.Environ(), incarnationVariable+"="+state.Incarnation)
	stray.SysProcAttr = NewSession()
	if err := stray.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- stray.Wait() }()
	t.Cleanup(func() { _ = stray.Process.Kill() })

	state.Identity = "1@another boot"
	manager := NewManager(slog.New(slog.DiscardHandler))
	adopted, strays, err := manager.Adopt(dir, state)
	if adopted != nil || err != nil {
		t.Fatalf("adopted is %+v, %v", adopted, err)
	}
	<-strays
	if identity, err := identify(stray.Process.Pid); err != nil {
		t.Errorf("after a restart of the machine, process %s was ended: %v", identity, err)
	}
	state.Identity = ""
	if adopted, strays, err = manager.Adopt(dir, state); adopted != nil || err != nil {
		t.Fatalf("adopted is %+v, %v", adopted, err)
	}
	<-strays
	if err := <-ended; err == nil || err.Error() != "signal: killed" {
		t.Errorf("it ended with %v", err)
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
	adopted, err := adopt(dir, state, newScreen(), newDuty())
	if err != nil {
		t.Fatal(err)
	}
	if adopted == nil || adopted.PID != p.PID {
		t.Fatalf("adopted is %+v, want %d", adopted, p.PID)
	}
	adopted.Terminate(termSignal, longTimeout)
}
