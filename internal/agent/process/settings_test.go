// SPDX-License-Identifier: MPL-2.0

//go:build unix

package process

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestReplicaGetsTheStopSignalOfItsRelease(t *testing.T) {
	t.Parallel()
	log := newScreen()
	p := run(t, t.TempDir(), `trap "echo bye; exit 0" QUIT; echo ready; while :; do sleep 600 & wait $!; done`, log)
	log.await(t, "ready")
	Settings{StopSignal: "SIGQUIT", StopTimeout: longTimeout}.Terminate(p)
	if p.exit != "exit status 0" || !strings.HasSuffix(log.String(), "bye\n") {
		t.Errorf("it ended with %q and wrote %q", p.exit, log)
	}
}

func TestReplicaIsKilledAfterTheStopTimeoutOfItsRelease(t *testing.T) {
	t.Parallel()
	log := newScreen()
	p := run(t, t.TempDir(), `trap "" TERM; echo ready; while :; do sleep 600; done`, log)
	log.await(t, "ready")
	Settings{StopTimeout: time.Millisecond}.Terminate(p)
	if p.exit != "signal: killed" {
		t.Errorf("it ended with %q", p.exit)
	}
}

func TestSettingsWithoutEffectAreNamed(t *testing.T) {
	t.Parallel()
	for want, settings := range map[string]Settings{
		`user: there is no user "no-such-user" on this machine`:    {User: "no-such-user"},
		`user: user 4000123 is not listed on this machine`:         {User: "4000123"},
		`group: it has no effect without a user`:                   {Group: "0"},
		`group: there is no group "no-such-group" on this machine`: {User: "root", Group: "no-such-group"},
		`umask: "999" is not an octal number from 000 to 777`:      {Umask: "999"},
		`stop_signal: there is no signal "SIGNONE"`:                {StopSignal: "SIGNONE"},
		`stop_signal: SIGSTOP asks no process to end`:              {StopSignal: "stop"},
	} {
		err := settings.Check()
		var named *SettingError
		if !errors.As(err, &named) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: the error is %v, want %q", settings, err, want)
		}
	}
	for _, settings := range []Settings{{}, {Umask: "027"}, {StopSignal: "QUIT", StopTimeout: time.Hour}} {
		if err := settings.Check(); err != nil && supportsLimits {
			t.Errorf("%+v: %v", settings, err)
		}
	}
}
