// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package main

import (
	"errors"
	"os/exec"
)

// supported says whether the local platform supports this system.
const supported = false

func setProcessGroup(*exec.Cmd) {}

func terminate(int) error { return errors.ErrUnsupported }
