// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package parent

import (
	"os"
	"os/exec"
)

// command returns the command that runs this program with arguments.
func command(arguments []string) *exec.Cmd {
	file, err := os.Executable()
	if err != nil {
		file = os.Args[0]
	}
	return exec.Command(file, arguments...)
}
