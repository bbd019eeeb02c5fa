// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"testing"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
)

func TestErrorAboutTheAgentsVersionNamesItsContainer(t *testing.T) {
	t.Parallel()
	m := &agentManager{Agent: Agent{Name: "bluegreen-agent"}}
	for _, c := range []struct {
		agent, provider int
		want            string
	}{
		{2, 1, "the agent, container bluegreen-agent, was made by a newer version of this provider"},
		{1, 2, "the agent, container bluegreen-agent, was made by an older version of this provider"},
	} {
		// The PID is one inside the container, so the error must not tell the user to kill it.
		err := m.explainVersion(&agentclient.VersionError{Agent: c.agent, Provider: c.provider, PID: 1})
		if !contains(err, c.want) || contains(err, "kill") {
			t.Errorf("got %v", err)
		}
		if isOlderAgent(err) != (c.agent < c.provider) {
			t.Errorf("isOlderAgent is %t for %v", isOlderAgent(err), err)
		}
	}
}
