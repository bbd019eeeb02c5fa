// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent"
)

// Options says which deployment, on which host, and how it runs there.
type Options struct {
	// Session is the host's. nil is one of the platform's own, with Connection and
	// the agent called Agent.Name, which count for nothing otherwise.
	Session    *Session
	Connection Connection
	// Name is the deployment's name, a DNS label.
	Name string
	// Pull says when the image is pulled; the default is PullMissing.
	Pull PullPolicy
	// Frontend goes to the agent with every commit.
	Frontend agent.Frontend
	// Agent is the host's agent.
	Agent Agent
}

// PullPolicy says when an image is pulled.
type PullPolicy string

const (
	// PullMissing pulls an image that the host does not have.
	PullMissing PullPolicy = "missing"
	// PullAlways asks the registry at every deploy.
	PullAlways PullPolicy = "always"
	// PullNever uses what the host has.
	PullNever PullPolicy = "never"
)

// Agent is how the host's agent is made.
type Agent struct {
	// Name is what its container and its volume are called; the default is
	// DefaultAgent. Agents of different names know nothing of each other.
	Name string
	// Image has this program at AgentProgram. "" is an image that is built from
	// this very program, where its system and CPU are the host's.
	Image string
	// Replace has an agent from another image replaced by one from this program's,
	// without a dropped request. One that this program cannot talk to because it is
	// older is replaced in any case.
	Replace bool
}

const (
	// DefaultAgent is what the agent's container and volume are called.
	DefaultAgent = "bluegreen-agent"
	// AgentProgram is where an agent's image has this program.
	AgentProgram = "/terraform-provider-bluegreen"
)

// validate finds what no engine could do anything with.
func (o Options) validate() error {
	var problems []error
	if err := agent.ValidateName(o.Name); err != nil {
		problems = append(problems, err)
	}
	if !slices.Contains([]PullPolicy{PullMissing, PullAlways, PullNever}, o.Pull) {
		problems = append(problems, fmt.Errorf("pull is %q, and must be missing, always or never", o.Pull))
	}
	return errors.Join(problems...)
}
