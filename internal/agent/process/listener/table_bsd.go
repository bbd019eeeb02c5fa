// SPDX-License-Identifier: MPL-2.0

//go:build darwin || freebsd

package listener

import (
	"errors"
	"fmt"
	"os/exec"
)

// run returns the output of a program of the system. lsof fails if it finds nothing.
func run(name string, arguments ...string) ([]byte, error) {
	output, err := exec.Command(name, arguments...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && len(output) == 0 && len(exit.Stderr) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading who listens: %s: %w", name, err)
	}
	return output, nil
}
