// SPDX-License-Identifier: MPL-2.0

package parent

import (
	"os"
	"os/exec"
)

// ownProgram leads to the program of this process, even once its file has been removed.
const ownProgram = "/proc/self/exe"

// command returns the command that runs this very program with arguments. An upgrade of the
// provider, or the end of a CI job, may have removed its file meanwhile, and what has its path
// now may be anything.
func command(arguments []string) *exec.Cmd {
	path := ownProgram
	if file, err := os.Executable(); err == nil && isSameFile(file, ownProgram) {
		// Tools that list processes show this name.
		path = file
	}
	cmd := exec.Command(path, arguments...)
	cmd.Args[0] = os.Args[0]
	return cmd
}

func isSameFile(one, other string) bool {
	first, err := os.Stat(one)
	if err != nil {
		return false
	}
	second, err := os.Stat(other)
	return err == nil && os.SameFile(first, second)
}
