// SPDX-License-Identifier: MPL-2.0

package process

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// stateFile is the file that holds the State of a replica's process.
const stateFile = "process.json"

// State identifies one run of a replica, for the program that adopts it. The file has a schema too,
// but for one that an earlier version has stored.
type State struct {
	// Revision is that of the Spec that it runs.
	Revision    string `json:"revision"`
	Incarnation string `json:"incarnation"`
	Port        int    `json:"port"`
	// PID is 0 from before the process is started until it is known.
	PID int `json:"pid,omitempty"`
	// Identity differs between this process and a later one with the same pid.
	Identity string `json:"identity,omitempty"`
	// Group is its control group, which may hold what the run has left behind.
	Group controlGroup `json:"control_group,omitempty"`
	// StopSignal and StopTimeout are those of the Settings that it was started with. They are not
	// there in what an earlier version has stored.
	StopSignal  string        `json:"stop_signal,omitempty"`
	StopTimeout time.Duration `json:"stop_timeout_ns,omitempty"`
}

// ReadState returns the state of the replica whose directory is dir, nil if it
// was never started.
func ReadState(dir string) (*State, error) {
	var state State
	found, err := durable.ReadJSON(filepath.Join(dir, stateFile), "process", &state)
	if err != nil || !found {
		return nil, err
	}
	return &state, nil
}

// stateSize is the size of the file. It always has room for another state, so that a replica can be
// started again while the disk is full.
const stateSize = 1024

// write stores the state, in place. It need not survive a crash of the machine, which no process
// does. If it cannot be stored, findRun finds the process.
func (s State) write(dir string) (err error) {
	content, err := json.Marshal(struct {
		Schema int `json:"schema"`
		State
	}{durable.Schema, s})
	if err != nil {
		return fmt.Errorf("encoding the process: %w", err)
	}
	if padding := stateSize - len(content); padding > 0 {
		content = append(content, bytes.Repeat([]byte(" "), padding)...)
	}
	path := filepath.Join(dir, stateFile)
	if err := durable.ClearPath(path); err != nil {
		return err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if _, err := file.WriteAt(content, 0); err != nil {
		return err
	}
	return file.Truncate(int64(len(content)))
}

// checkNotNewer returns an error if a newer version has written the state of the replica whose
// directory is dir. It must not be overwritten: that version knows what else it says.
func checkNotNewer(dir string) error {
	_, err := ReadState(dir)
	if _, isNewer := errors.AsType[*durable.NewerError](err); isNewer {
		return err
	}
	return nil
}

// isAlive reports whether the process runs.
func (s State) isAlive() bool {
	identity, err := identify(s.PID)
	return err == nil && identity == s.Identity
}
