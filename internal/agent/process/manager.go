// SPDX-License-Identifier: MPL-2.0

package process

import (
	"log/slog"
	"path/filepath"
)

// Manager starts and adopts the processes of replicas, and holds what they share: the
// ports, the log files and the view of what listens.
type Manager struct {
	ports   *ports
	outputs *outputs
	views   *views
	duty    *duty
	// left are those of runs that ended while no agent ran.
	left *leftovers
	log  *slog.Logger
	// checkFiles returns an error if the files of the replicas must be left alone.
	checkFiles func() error
}

// UsePorts makes the range the one of the replicas whose spec has none.
func (m *Manager) UsePorts(standard PortRange) { m.ports.standard = standard }

// CheckFiles makes the manager call check before it touches the files of a replica. While check
// returns an error, replicas that end are not started again, their output is not stored, and no
// file is removed. Call it before anything else.
func (m *Manager) CheckFiles(check func() error) { m.checkFiles, m.outputs.check = check, check }

// NewManager returns a manager that logs to log. There is one in a program.
func NewManager(log *slog.Logger) *Manager {
	m := &Manager{
		ports: newPorts(), outputs: newOutputs(), views: &views{}, duty: newDuty(), left: &leftovers{}, log: log,
	}
	m.CheckFiles(func() error { return nil })
	return m
}

// WithLogger returns the same manager with another logger.
func (m *Manager) WithLogger(log *slog.Logger) *Manager {
	other := *m
	other.log = log
	return &other
}

// Adopt takes over the process of the replica whose directory is dir. It returns nil if
// that does not run any more, and ended, which is closed once what it has left behind is ended
// too. One that cannot be adopted is killed, so that it does not run without a supervisor.
func (m *Manager) Adopt(dir string, state State) (p *Process, ended <-chan struct{}, err error) {
	p, err = adopt(dir, state, m.outputs.file(filepath.Join(dir, outputFile)), m.duty)
	if p != nil || err != nil {
		return p, nil, err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := m.endStrays(state); err != nil {
			m.log.Error("replica left something behind", "replica", filepath.Base(dir), "error", err)
		}
	}()
	return nil, done, nil
}

// endStrays ends what a process that ended while no agent ran has left behind.
func (m *Manager) endStrays(state State) error {
	if !state.isOfThisBoot() {
		return nil
	}
	// Its pid, which is that of its session too, may be another one's by now.
	state.PID = 0
	left := &tree{run: state}
	err := left.end(adoptGrace)
	if err != nil {
		m.left.add(left)
	}
	return err
}
