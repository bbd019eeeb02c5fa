// SPDX-License-Identifier: MPL-2.0

//go:build unix

package process

import (
	"fmt"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	termSignal = syscall.SIGTERM
	killSignal = syscall.SIGKILL
)

// NewSession detaches a process from the terminal and the process group of this
// one, so that no signal meant for the one reaches the other.
func NewSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// signalGroup signals the group that pid leads. It is not an error if the group is empty.
func signalGroup(pid int, signal syscall.Signal) { _ = syscall.Kill(-pid, signal) }

// ParseSignal returns the signal called name, such as SIGQUIT or QUIT.
func ParseSignal(name string) (syscall.Signal, error) {
	full := "SIG" + strings.TrimPrefix(strings.ToUpper(name), "SIG")
	signal := unix.SignalNum(full)
	switch signal {
	case 0:
		return 0, fmt.Errorf("there is no signal %q", name)
	case unix.SIGSTOP, unix.SIGTSTP, unix.SIGTTIN, unix.SIGTTOU, unix.SIGCONT, unix.SIGCHLD:
		return 0, fmt.Errorf("%s asks no process to end", full)
	}
	return signal, nil
}
