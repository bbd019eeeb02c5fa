// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// The limits hold for what the replica starts too, and their control groups go with the run. An
// agent that cannot make control groups says so before anything is started.
func TestReplicaHasTheLimitsOfItsRelease(t *testing.T) {
	t.Parallel()
	settings := Settings{Memory: 64 << 20, CPUs: 0.5}
	if err := settings.Check(); err != nil {
		var named *SettingError
		if os.Geteuid() == 0 || !errors.As(err, &named) || named.Setting != "memory" {
			t.Errorf("the error is %v", err)
		}
		return
	}
	log := newScreen()
	p := runWith(t, settings, t.TempDir(), `echo ready; sleep 600; :`, log)
	log.await(t, "ready")
	group := controlGroupOf(p.State)
	slices.Sort(group)
	if noted := slices.Sorted(slices.Values(p.Group)); !slices.Equal(noted, group) {
		t.Errorf("noted is the group %q, want %q", noted, group)
	}
	want := map[string]string{
		"memory.max": "67108864", "memory.limit_in_bytes": "67108864",
		"cpu.max": "50000 100000", "cpu.cfs_quota_us": "50000",
	}
	read := 0
	for _, dir := range group {
		for name, value := range want {
			content, err := os.ReadFile(dir + "/" + name)
			if err != nil {
				continue
			}
			read++
			if got := strings.TrimSpace(string(content)); got != value {
				t.Errorf("%s/%s is %s, want %s", dir, name, got, value)
			}
		}
	}
	if read != 2 {
		t.Errorf("%d limits of %q were read, want 2", read, group)
	}
	p.Terminate(termSignal, longTimeout)
	for _, dir := range group {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}

// hiddenDaemon is found by its control group or its mark only.
const hiddenDaemon = `(env -i setsid sh -c 'echo $$ >new; mv new stray; exec sleep 600' &)
	until [ -s stray ]; do :; done; `

// What a replica has started ends with it in version 1 of control groups too, which can't kill a
// group at once.
func TestStraysEndWithTheirProcessInVersion1(t *testing.T) {
	t.Parallel()
	usingVersion1(t)
	dir, log := t.TempDir(), newScreen()
	p := run(t, dir, hiddenDaemon+`echo ready; sleep 600; :`, log)
	log.await(t, "ready")
	p.Terminate(termSignal, longTimeout)
	if stray := strayIn(t, dir); stray.isAlive() {
		t.Errorf("process %d is left", stray.PID)
	}
	mustBeGone(t, p.Group)
}

func mustBeGone(t *testing.T, group controlGroup) {
	t.Helper()
	for _, dir := range group {
		if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is left: %v", dir, err)
		}
	}
}

// endWithoutAgent starts a replica that leaves a daemon, and ends it while no agent runs. It returns
// what the agent has noted, and the daemon.
func endWithoutAgent(t *testing.T, dir string) (noted, daemon State) {
	t.Helper()
	log, former := newScreen(), newDuty()
	p := runFor(t, former, Settings{}, dir, []string{"/bin/sh", "-c", hiddenDaemon + `echo ready; sleep 600; :`}, log)
	log.await(t, "ready")
	former.letGo()
	p.kill()
	if !p.awaitEnd(time.Now().Add(longTimeout)) {
		t.Fatal("it has not ended")
	}
	state, err := ReadState(dir)
	if err != nil || state == nil {
		t.Fatal(state, err)
	}
	daemon = strayIn(t, dir)
	if !daemon.isAlive() {
		t.Fatal("the daemon has ended with its agent")
	}
	return *state, daemon
}

// The next agent ends what is in the control group of a run that ended while no agent ran, and
// removes the group.
func TestControlGroupOfARunThatEndedWithoutAnAgentGoes(t *testing.T) {
	t.Parallel()
	if !canMakeControlGroup(t) {
		skipOrFail(t, "this machine has no control groups")
	}
	dir := t.TempDir()
	state, daemon := endWithoutAgent(t, dir)
	endWithNextAgent(t, dir, state, daemon)
	mustBeGone(t, state.Group)
}

// endWithNextAgent lets an agent find the run that has ended, and expects the daemon to end.
func endWithNextAgent(t *testing.T, dir string, state, daemon State) {
	t.Helper()
	adopted, ended, err := NewManager(slog.New(slog.DiscardHandler)).Adopt(dir, state)
	if adopted != nil || err != nil {
		t.Fatalf("adopted is %+v, %v", adopted, err)
	}
	<-ended
	if daemon.isAlive() {
		t.Errorf("process %d is left", daemon.PID)
	}
}

// A control group that the system holds goes once the system lets go, when the next run ends.
func TestBusyControlGroupIsRemovedLater(t *testing.T) {
	t.Parallel()
	usingVersion1(t)
	dir := t.TempDir()
	state, daemon := endWithoutAgent(t, dir)
	freeze := func(how string) {
		t.Helper()
		if err := writeSetting(state.Group[0], "freezer.state", how); err != nil {
			t.Fatal(err)
		}
	}
	// No signal ends a process that is frozen.
	freeze("FROZEN")
	m := NewManager(slog.New(slog.DiscardHandler))
	_, ended, err := m.Adopt(dir, state)
	if err != nil {
		t.Fatal(err)
	}
	<-ended
	if _, err := os.Stat(state.Group[0]); err != nil {
		t.Fatalf("the group has not stayed: %v", err)
	}
	freeze("THAWED")
	if !daemon.awaitEnd(time.Now().Add(longTimeout)) {
		t.Fatal("the daemon has not ended")
	}
	next := supervise(t, m, t.TempDir(), "exec sleep 600", nil, nil)
	if err := next.AwaitStart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := next.Stop(context.WithoutCancel(t.Context())); err != nil {
		t.Fatal(err)
	}
	mustBeGone(t, state.Group)
}

// A control group of which nothing is known goes if it is old and nothing is in it.
func TestEmptyControlGroupsAreRemoved(t *testing.T) {
	t.Parallel()
	all, err := readHierarchies()
	if err != nil {
		t.Fatal(err)
	}
	parent := all.makeUnlimited("bluegreen-test-" + rand.Text())
	if len(parent) == 0 {
		skipOrFail(t, "this machine has no control groups")
	}
	t.Cleanup(func() {
		if err := parent.remove(); err != nil {
			t.Error(err)
		}
	})
	// These hierarchies have nothing in them but what the test makes.
	inner := hierarchies{
		mounts: map[string]controlGroupMount{unified: {parent[0], "/"}}, own: map[string]string{unified: "/"},
	}
	empty, used := inner.makeUnlimited(controlGroupPrefix+"empty"), inner.makeUnlimited(controlGroupPrefix+"used")
	busy := exec.Command("sleep", "600")
	if err := busy.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = busy.Process.Kill()
		_ = busy.Wait()
	})
	if err := writeSetting(used[0], "cgroup.procs", strconv.Itoa(busy.Process.Pid)); err != nil {
		t.Fatal(err)
	}
	inner.removeEmpty(time.Now().Add(-emptyGroupAge))
	if _, err := os.Stat(empty[0]); err != nil {
		t.Errorf("a group that was just made was removed: %v", err)
	}
	inner.removeEmpty(time.Now().Add(time.Hour))
	mustBeGone(t, empty)
	if _, err := os.Stat(used[0]); err != nil {
		t.Errorf("a group that is in use was removed: %v", err)
	}
}

// A command of a health check counts for the limits of its replica.
func TestCommandIsInTheControlGroupOfItsReplica(t *testing.T) {
	t.Parallel()
	settings := Settings{Memory: 64 << 20}
	if err := settings.Check(); err != nil {
		// TestReplicaHasTheLimitsOfItsRelease looks at the error.
		skipOrFail(t, err.Error())
	}
	dir := t.TempDir()
	log := newScreen()
	p := runWith(t, settings, dir, `echo ready; sleep 600; :`, log)
	log.await(t, "ready")
	spec := Spec{
		Argv:     []string{"/bin/sh", "-c", "grep " + filepath.Base(p.Group[0]) + " /proc/self/cgroup"},
		Dir:      dir,
		Settings: settings,
	}
	status := Status{Port: p.Port, Incarnation: p.Incarnation, group: p.Group}
	if err := Exec(t.Context(), "sh", spec, status); err != nil {
		t.Error(err)
	}
}

// An agent that a replica has started leaves the control group of the replica and loses its mark.
func TestAgentLeavesTheRunOfAReplica(t *testing.T) {
	t.Parallel()
	if !canMakeControlGroup(t) {
		skipOrFail(t, "this machine has no control groups")
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := newScreen()
	const script = "grep -c bluegreen- /proc/self/cgroup; ulimit -S -m; exec "
	p := run(t, t.TempDir(), script+"'"+program+"' leave", log)
	<-p.exited
	before := fmt.Sprintf("1\n%d\n", markOf(p.Incarnation)/markUnit)
	got := log.String()
	if !strings.HasPrefix(got, before) || strings.Contains(got, controlGroupPrefix) {
		t.Errorf("want %q and no groups of the run: %s", before, got)
	}
	if !regexp.MustCompile("Max resident set +unlimited").MatchString(got) {
		t.Errorf("it still has a mark: %s", got)
	}
}

// The kernel kills a replica that uses more, and its exit says why.
func TestReplicaThatUsesUpItsMemoryIsNamed(t *testing.T) {
	t.Parallel()
	settings := Settings{Memory: 8 << 20}
	if err := settings.Check(); err != nil {
		// TestReplicaHasTheLimitsOfItsRelease looks at the error.
		skipOrFail(t, err.Error())
	}
	log := newScreen()
	// The shell itself holds what it reads.
	const script = `echo ready; x=$(head -c 100000000 /dev/zero | tr "\\0" x); echo survived`
	p := runWith(t, settings, t.TempDir(), script, log)
	<-p.exited
	if !strings.HasSuffix(p.exit, "it had used up its memory") || strings.Contains(log.String(), "survived") {
		t.Errorf("it ended with %q and wrote %q", p.exit, log)
	}
}

// Where groups are is found in version 2 and in version 1, also where a container sees a part of
// the hierarchy only.
func TestPathOfAControlGroup(t *testing.T) {
	t.Parallel()
	for want, got := range map[string]string{
		"/sys/fs/cgroup/a.slice/b.service": controlGroupMount{"/sys/fs/cgroup", "/"}.path("/a.slice/b.service"),
		"/sys/fs/cgroup":                   controlGroupMount{"/sys/fs/cgroup", "/"}.path("/"),
		"/sys/fs/cgroup/memory":            controlGroupMount{"/sys/fs/cgroup/memory", "/docker/1"}.path("/docker/1"),
		"/sys/fs/cgroup/cpu":               controlGroupMount{"/sys/fs/cgroup/cpu", "/docker/1"}.path("/elsewhere"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
