// SPDX-License-Identifier: MPL-2.0

package process

import (
	"log/slog"
	"path/filepath"
)

// Host is what the replicas of one machine share: the ports and the log files.
type Host struct {
	ports   *ports
	outputs *outputs
	log     *slog.Logger
}

// NewHost returns a host that logs to log. There is one in a program.
func NewHost(log *slog.Logger) *Host { return &Host{newPorts(), newOutputs(), log} }

// WithLogger returns the same host with another logger.
func (h *Host) WithLogger(log *slog.Logger) *Host { return &Host{h.ports, h.outputs, log} }

// Adopt takes over the process of the replica whose directory is dir if it still
// runs, nil if not. One that cannot be adopted is killed, so that it does not run
// without a supervisor.
func (h *Host) Adopt(dir string, state State) (*Process, error) {
	return adopt(dir, state, h.outputs.file(filepath.Join(dir, outputFile)))
}
