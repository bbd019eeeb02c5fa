// SPDX-License-Identifier: MPL-2.0

package api

import (
	"errors"
	"fmt"
	"time"
)

// ErrNotRunning means that no agent serves the state directory.
var ErrNotRunning = errors.New("no agent is running")

// ErrLockLost means that the lock under which a change was to be made is no longer held.
var ErrLockLost = errors.New("the lock on the deployment is not held any more")

// ErrLeaving means that the agent ends, or hands over to the next one.
var ErrLeaving = errors.New("the agent is shutting down; try again")

// VersionError is an agent of another version than this program. It goes on
// serving what it serves.
type VersionError struct {
	// Agent and Provider are the versions of the API that they speak.
	Agent, Provider int
	// PID is the agent's process.
	PID int
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("the agent speaks API %d, this provider needs %d. Nothing has been changed. "+
		"To restart the agent, stop it with `kill %d` and run this again, which starts a new one. "+
		"The replicas keep running, but traffic stops until the new agent serves",
		e.Agent, e.Provider, e.PID)
}

// LingerForever is the value of -linger for an agent that does not end by itself.
const LingerForever = "forever"

// ByProviderVariable is set for an agent that the provider starts, so that the provider may
// replace it. An agent that somebody else starts may have other flags.
const ByProviderVariable = "BLUEGREEN_AGENT_BY_PROVIDER"

// RestartFlag is the flag of an agent that is started again when it dies.
const RestartFlag = "restart"

// LaunchTimeout is how long an agent may take to answer. One that takes over
// from another may have to wait for that to end.
const LaunchTimeout = time.Minute
