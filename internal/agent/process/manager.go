// SPDX-License-Identifier: MPL-2.0

package process

import (
	"log/slog"
	"path/filepath"
)

// Manager starts and adopts the processes of replicas, and holds what they share: the
// ports and the log files.
type Manager struct {
	ports   *ports
	outputs *outputs
	log     *slog.Logger
}

// NewManager returns a manager that logs to log. There is one in a program.
func NewManager(log *slog.Logger) *Manager { return &Manager{newPorts(), newOutputs(), log} }

// WithLogger returns the same manager with another logger.
func (m *Manager) WithLogger(log *slog.Logger) *Manager { return &Manager{m.ports, m.outputs, log} }

// Adopt takes over the process of the replica whose directory is dir. It returns nil if
// that does not run any more. One that cannot be adopted is killed, so that it does not run
// without a supervisor.
func (m *Manager) Adopt(dir string, state State) (*Process, error) {
	return adopt(dir, state, m.outputs.file(filepath.Join(dir, outputFile)))
}
