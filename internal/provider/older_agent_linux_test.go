// SPDX-License-Identifier: MPL-2.0

package provider

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/api"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	agentprocess "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/process"
)

// replaceAgentByOlder puts an agent of version 0.9.0 in the place of the agent, as an earlier
// version of the provider would have started it.
func (h localHarness) replaceAgentByOlder() {
	h.t.Helper()
	h.killAgent()
	agent := exec.Command(os.Args[0], "agent", "-state-dir", h.stateDir, "-"+api.RestartFlag)
	agent.Env = append(agentprocess.AgentEnviron(), api.ByProviderVariable+"=1", versionVariable+"=0.9.0")
	agent.SysProcAttr = agentprocess.NewSession()
	if err := agent.Start(); err != nil {
		h.t.Fatal(err)
	}
	// It ends with the deployment.
	go func() { _ = agent.Wait() }()
	h.connect()
}

// connect returns a client of the agent once it serves.
func (h localHarness) connect() *client.Client {
	h.t.Helper()
	c, err := client.New(h.stateDir)
	if err != nil {
		h.t.Fatal(err)
	}
	pause := backoff.WithBackOff(backoff.NewConstantBackOff(pollInterval))
	_, err = backoff.Retry(h.t.Context(), func() (int, error) { return c.PID(h.t.Context()) },
		pause, backoff.WithMaxElapsedTime(time.Minute))
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

const (
	needsAttention = "The agent needs attention"
	olderAgent     = "of version 0.9.0, is older than this provider, " + mirroredVersion
)

// The agent that an earlier version of the provider has started still runs. A plan says that the
// next apply replaces it, and that apply does.
func TestOlderAgentIsReplacedByTheNextApply(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	tf.apply(h.config(version("1.0.0")))
	h.replaceAgentByOlder()
	older := h.agentPID()
	tf.write(h.config(version("2.0.0")))
	mustContain(t, tf.must("plan"), needsAttention, olderAgent,
		"The next apply that changes a deployment replaces it")
	if now := h.agentPID(); now != older {
		t.Errorf("the plan has replaced the agent %s by %s", older, now)
	}
	tf.apply(h.config(version("2.0.0")))
	h.answers("2.0.0")
	if now := h.agentPID(); now == older {
		t.Error("the older agent still serves")
	}
	if output := tf.must("plan", "-detailed-exitcode"); strings.Contains(output, needsAttention) {
		t.Errorf("the agent was replaced, and the plan says:\n%s", output)
	}
}

// Another apply is at work, so the agent cannot be replaced now. The apply goes on with it, and
// says so.
func TestOlderAgentThatIsBusyIsNotReplaced(t *testing.T) {
	t.Parallel()
	h := newLocalHarness(t)
	tf := h.terraform()
	tf.apply(h.config(version("1.0.0")))
	h.replaceAgentByOlder()
	older := h.agentPID()
	other, err := h.connect().Lock(t.Context(), "other", "another apply")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Unlock()
	output := tf.apply(h.config(version("2.0.0")))
	mustContain(t, output, olderAgent, "could not be replaced. It goes on", "another apply")
	h.answers("2.0.0")
	if now := h.agentPID(); now != older {
		t.Errorf("the agent %s was replaced by %s", older, now)
	}
}
