// SPDX-License-Identifier: MPL-2.0

package process

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A replica gets no rights that its user has not, unless the release asks for that.
func TestReplicaGetsNoNewPrivileges(t *testing.T) {
	t.Parallel()
	const script = `grep NoNewPrivs /proc/self/status`
	for want, settings := range map[string]Settings{
		"NoNewPrivs:\t1\n": {},
		"NoNewPrivs:\t0\n": {AllowNewPrivileges: true},
	} {
		log := newScreen()
		<-runWith(t, settings, t.TempDir(), script, log).exited
		if log.String() != want {
			t.Errorf("with %+v the replica has %q, want %q", settings, log, want)
		}
	}
}

// An agent whose service manager keeps it from new privileges cannot give its replicas any.
func TestAgentWithoutNewPrivilegesSaysSo(t *testing.T) {
	t.Parallel()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for settings, want := range map[Settings]string{
		{}:                         "no_new_privileges: the agent itself can get no new privileges",
		{AllowNewPrivileges: true}: "<nil>",
	} {
		log := newScreen()
		<-runWith(t, settings, t.TempDir(), "exec '"+program+"' check", log).exited
		if !strings.HasPrefix(log.String(), want) {
			t.Errorf("an agent with %+v says %q, want %q", settings, log, want)
		}
	}
}

func TestReplicaHasTheUmaskOfItsRelease(t *testing.T) {
	t.Parallel()
	log := newScreen()
	<-runWith(t, Settings{Umask: "027"}, t.TempDir(), `umask`, log).exited
	if got := strings.TrimLeft(log.String(), "0"); got != "27\n" {
		t.Errorf("the umask is %q", log)
	}
}

// When memory is used up the kernel ends replicas before the agent, which carries the traffic.
// It changes the score of this process, so no other test runs beside it.
func TestReplicaIsEndedBeforeTheAgent(t *testing.T) {
	const file = "/proc/self/oom_score_adj"
	before, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.WriteFile(file, before, 0); err != nil {
			t.Error(err)
		}
	})
	for own, want := range map[string]string{string(before): "", "500": "700\n", "950": "1000\n", "1000": "1000\n"} {
		if err := os.WriteFile(file, []byte(own), 0); err != nil {
			t.Fatal(err)
		}
		if err := LeaveRoomForOOMScore(); err != nil {
			t.Fatal(err)
		}
		log := newScreen()
		<-run(t, t.TempDir(), `cat /proc/self/oom_score_adj`, log).exited
		agents, err := readOOMScore()
		if err != nil {
			t.Fatal(err)
		}
		replicas, err := strconv.Atoi(strings.TrimSpace(log.String()))
		if err != nil || replicas <= agents {
			t.Errorf("the score of the replica is %q, that of the agent %d, %v", log, agents, err)
		}
		if got := log.String(); want != "" && got != want {
			t.Errorf("the score of the replica is %q, want %q", got, want)
		}
	}
}

// The variables of socket activation are those of the agent, also if the release sets some.
func TestReplicaGetsTheSocketOfTheAgent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	spec := Spec{
		Argv:     []string{"/bin/sh", "-c", `echo $$; tr '\0' '\n' </proc/$$/environ | grep ^LISTEN_; exec sleep 600`},
		Dir:      dir,
		Env:      map[string]string{"LISTEN_FDS": "7", "LISTEN_PID": "1", "LISTEN_FDNAMES": "other"},
		Settings: Settings{SocketActivation: true},
	}
	s := NewManager(slog.New(slog.DiscardHandler)).Supervise("green-1", dir, spec, nil, nil, func() {})
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := s.AwaitStart(t.Context()); err != nil {
		t.Fatal(err)
	}
	var lines []string
	eventually(t, func() error {
		var err error
		if lines, err = Logs(dir, 10); len(lines) < 4 {
			return fmt.Errorf("%q, %w", lines, err)
		}
		return nil
	})
	want := []string{lines[0], "LISTEN_FDS=1", "LISTEN_PID=" + lines[0], "LISTEN_FDNAMES=http"}
	if !slices.Equal(lines, want) {
		t.Errorf("the replica has %q, want %q", lines, want)
	}
}

// Only root can start processes as another user.
func TestReplicaRunsAsTheUserOfItsRelease(t *testing.T) {
	t.Parallel()
	settings := Settings{User: "4000123", Group: "4000124"}
	if os.Geteuid() != 0 {
		var named *SettingError
		if err := settings.Check(); !errors.As(err, &named) || named.Setting != "user" {
			t.Errorf("the error is %v", err)
		}
		return
	}
	log := newScreen()
	<-runWith(t, settings, t.TempDir(), `id -u; id -g; id -G; grep CapEff /proc/self/status`, log).exited
	if want := "4000123\n4000124\n4000124\nCapEff:\t0000000000000000\n"; log.String() != want {
		t.Errorf("the replica has %q, want %q", log, want)
	}
}

// What a command has left behind may keep its output open. How the command itself has ended counts.
func TestCommandThatLeavesSomethingBehindEndsWell(t *testing.T) {
	t.Parallel()
	for status, wantsError := range map[string]bool{"0": false, "3": true} {
		spec := Spec{Argv: []string{"/bin/sh", "-c", "sleep 3 & exit " + status}, Dir: t.TempDir()}
		err := Exec(t.Context(), "sh", spec, Status{Port: 1})
		if (err != nil) != wantsError {
			t.Errorf("a command that exits with %s: %v", status, err)
		}
	}
}

// A program that cannot be executed is an error of the start, not a crash of the replica.
func TestProgramThatCannotBeExecutedIsAnErrorOfTheStart(t *testing.T) {
	t.Parallel()
	path := t.TempDir() + "/program"
	if err := os.WriteFile(path, []byte("\x7fELF"), 0o700); err != nil {
		t.Fatal(err)
	}
	command, err := program{argv: []string{path}, dir: "/"}.start(context.Background())
	if command != nil || err == nil || !strings.Contains(err.Error(), "exec "+path) {
		t.Errorf("it was started: %v, %v", command, err)
	}
}
