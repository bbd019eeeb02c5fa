// SPDX-License-Identifier: MPL-2.0

package process

import (
	"encoding/json"
	"fmt"
	"path/filepath"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/durable"
)

// stateFile is the file that holds the State of a replica's process.
const stateFile = "process.json"

// State identifies one run of a replica, for the program that adopts it.
type State struct {
	// Revision is that of the Spec that it runs.
	Revision    string `json:"revision"`
	Incarnation string `json:"incarnation"`
	Port        int    `json:"port"`
	// PID is 0 from before the process is started until it is known.
	PID int `json:"pid,omitempty"`
	// Identity differs between this process and a later one with the same pid.
	Identity string `json:"identity,omitempty"`
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

func (s State) write(dir string) error {
	content, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encoding the process: %w", err)
	}
	return durable.WriteFile(filepath.Join(dir, stateFile), content)
}

// isAlive reports whether the process runs.
func (s State) isAlive() bool {
	identity, err := identify(s.PID)
	return err == nil && identity == s.Identity
}
