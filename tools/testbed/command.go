// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// output runs a command and returns what it printed. What it complained of is
// in the error.
func output(command *exec.Cmd) (string, error) {
	var printed, complaint bytes.Buffer
	command.Stdout, command.Stderr = &printed, &complaint
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, bytes.TrimSpace(complaint.Bytes()))
	}
	return strings.TrimSpace(printed.String()), nil
}

// execute runs a command of which nobody needs to know what it printed.
func execute(command *exec.Cmd) error {
	_, err := output(command)
	return err
}
