// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"errors"
	"fmt"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
)

// agentVersionError reports an agent that was created by another version of this
// provider, and that this version cannot talk to.
type agentVersionError struct {
	// Container is the name of the agent's container.
	Container string
	Err       *agentclient.VersionError
}

func (e *agentVersionError) Error() string {
	if e.isNewer() {
		return fmt.Sprintf("the agent, container %s, was made by a newer version of this provider; "+
			"use that version, or a newer one, here too", e.Container)
	}
	return fmt.Sprintf("the agent, container %s, was made by an older version of this provider, "+
		"and the next apply replaces it", e.Container)
}

func (e *agentVersionError) Unwrap() error { return e.Err }

func (e *agentVersionError) isNewer() bool { return e.Err.Agent > e.Err.Provider }

// explainVersion turns an error about the agent's version into one that names the
// agent's container. It returns any other error as it is.
func (m *agentManager) explainVersion(err error) error {
	var version *agentclient.VersionError
	if errors.As(err, &version) {
		return &agentVersionError{m.Name, version}
	}
	return err
}

// isOlderAgent reports whether err says that the agent is older than this program.
func isOlderAgent(err error) bool {
	var version *agentclient.VersionError
	return errors.As(err, &version) && version.Agent < version.Provider
}
