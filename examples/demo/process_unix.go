// SPDX-License-Identifier: MPL-2.0

//go:build unix

package main

import (
	"os"
	"os/exec"
	"syscall"
)

// supported says whether the local platform supports this system.
const supported = true

// setProcessGroup keeps a Ctrl-C in the terminal from reaching the command. The demo passes
// the Ctrl-C on once. Terraform would take a second one as an order to end at once.
func setProcessGroup(command *exec.Cmd) {
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
}

func terminate(pid int) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return process.Signal(syscall.SIGTERM)
}
