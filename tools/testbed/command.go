// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os/exec"
	"strings"
)

// output runs a command and returns its stdout. The error has its stderr.
func output(command *exec.Cmd) (string, error) {
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	if err := command.Run(); err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(command.Args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return strings.TrimSpace(stdout.String()), nil
}

// execute runs a command and ignores its stdout.
func execute(command *exec.Cmd) error {
	_, err := output(command)
	return err
}
