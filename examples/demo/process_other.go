// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package main

import (
	"errors"
	"os/exec"
)

// supported says whether this system has the local platform.
const supported = false

func ownProcessGroup(*exec.Cmd) {}

func terminate(int) error { return errors.ErrUnsupported }
