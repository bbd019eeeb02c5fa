// SPDX-License-Identifier: MPL-2.0

//go:build !linux

package systemd

import (
	"errors"
	"log/slog"
	"os/exec"
)

// Connect returns nil: no service manager of this system speaks the protocol.
func Connect(*slog.Logger) *Manager { return nil }

// Relay is not needed where Connect returns nil.
type Relay struct{}

// IsRelayed returns false.
func IsRelayed() bool { return false }

// NewRelay returns an error.
func NewRelay() (*Relay, error) {
	return nil, errors.New("-service is for systemd, which runs on Linux only")
}

// Start is never called.
func (*Relay) Start(*exec.Cmd) error { return errors.ErrUnsupported }

// Run is never called.
func (*Relay) Run(*slog.Logger) (hasLeft bool) { return false }
