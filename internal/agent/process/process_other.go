// SPDX-License-Identifier: MPL-2.0

//go:build !unix

package process

import (
	"os"
	"syscall"
	"time"

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

// findTree finds nothing.
func findTree(State, []State) []State { return nil }

func (s State) kill() {}

func (s State) awaitEnd(time.Time) bool { return true }

func (s State) isOfThisBoot() bool { return true }

// ParseSignal returns an error.
func ParseSignal(string) (syscall.Signal, error) { return 0, durable.ErrUnsupported }
