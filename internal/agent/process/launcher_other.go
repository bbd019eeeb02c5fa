// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package process

import (
	"context"
	"errors"
	"os/exec"
)

// supportsLimits is false: there is no launcher.
const supportsLimits = false

// check returns a *SettingError unless the limits are empty.
func (l Limits) check() error {
	switch {
	case l.User != nil:
		return &SettingError{"user", errNeedsLinux}
	case l.Umask != nil:
		return &SettingError{"umask", errNeedsLinux}
	case l.Memory != 0:
		return &SettingError{"memory", errNeedsLinux}
	case l.CPUs != 0:
		return &SettingError{"cpus", errNeedsLinux}
	case l.SocketActivation:
		return &SettingError{"socket_activation", errNeedsLinux}
	}
	return nil
}

// LeaveRoomForOOMScore does nothing: only Linux has such a score.
func LeaveRoomForOOMScore() error { return nil }

// hasNoNewPrivileges is for Linux.
func hasNoNewPrivileges() bool { return false }

var errNeedsLinux = errors.New("it needs an agent on Linux")

// LauncherArgument is the argument of the agent that makes it the launcher, which these systems
// have not.
const LauncherArgument = "exec"

// Launch does nothing.
func Launch() int { return 1 }

// start starts the program. There is no launcher: these systems cannot start a program whose
// file was removed, as the working directory of a CI job is with the provider in it.
func (p program) start(ctx context.Context) (*exec.Cmd, error) {
	if err := p.limits.check(); err != nil {
		return nil, err
	}
	command := p.newCommand(ctx, p.argv[0], p.argv[1:]...)
	command.Env = p.environ
	if err := command.Start(); err != nil {
		return nil, err
	}
	return command, nil
}
