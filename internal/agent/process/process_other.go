// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package process

import (
	"os"
	"syscall"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

const (
	termSignal = syscall.SIGTERM
	killSignal = syscall.SIGKILL
)

// NewSession returns nil.
func NewSession() *syscall.SysProcAttr { return nil }

// KeepDescriptors does nothing: on these systems a process inherits only what it is given.
func KeepDescriptors() {}

func signalGroup(int, syscall.Signal) {}

func openOutput(string) (reader, writer *os.File, err error) { return nil, nil, durable.ErrUnsupported }

func identify(int) (string, error) { return "", durable.ErrUnsupported }

func awaitNonChild(State) error { return durable.ErrUnsupported }

func awaitChild(int) {}

func findProcess(string) (pid int, identity string) { return 0, "" }
