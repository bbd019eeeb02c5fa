// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package agent

import (
	"os"
	"syscall"
)

const (
	termSignal = syscall.SIGTERM
	killSignal = syscall.SIGKILL
)

func ownSession() *syscall.SysProcAttr { return nil }

func signalGroup(int, syscall.Signal) {}

func openOutput(string) (reader, writer *os.File, err error) { return nil, nil, ErrUnsupported }

func identify(int) (string, error) { return "", ErrUnsupported }

func awaitExit(processState) error { return ErrUnsupported }

func awaitChild(int) {}

func findProcess(string) (pid int, identity string) { return 0, "" }
