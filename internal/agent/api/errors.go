// SPDX-License-Identifier: MPL-2.0

package api

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotRunning: no agent serves the state directory.
var ErrNotRunning = errors.New("no agent is running")

// ErrLockLost: the lock under which a change was to be made is no longer held.
var ErrLockLost = errors.New("the lock on the deployment is not held any more")

// errLeaving: the agent is about to leave; the next one takes over.
var ErrLeaving = errors.New("the agent is leaving")

// VersionError is an agent of another version than this program. It goes on
// serving what it serves.
type VersionError struct {
	// Agent and Provider are the versions of the API that they speak.
	Agent, Provider int
	// PID is the agent's process.
	PID int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the agent speaks API %d, this provider needs %d: restart the agent: stop it with `kill %d` "+
		"and run this again, which starts another. Its replicas keep running; traffic stops in between",
		e.Agent, e.Provider, e.PID)
}

// LingerForever is the value of -linger for an agent that somebody else ends.
const LingerForever = "forever"

// LaunchTimeout is how long an agent may take to answer. One that takes over
// from another may have to wait for that to end.
const LaunchTimeout = time.Minute
