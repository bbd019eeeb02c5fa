// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"errors"
	"fmt"
	"slices"

	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
)

// Options says which deployment, on which host, and how it runs there.
type Options struct {
	// Host holds the connections that the platform uses. If it is nil, the platform has a
	// Host of its own, made from Connection and Agent.Name, which are ignored otherwise.
	Host       *Host
	Connection Connection
	// Name is the deployment's name, a DNS label.
	Name string
	// Pull says when the image is pulled; the default is PullChanged.
	Pull PullPolicy
	// Warn is called with a message about a problem that stops nothing. It may be nil.
	Warn func(message string)
	// Frontend is sent to the agent with every commit.
	Frontend Frontend
	// Upkeep is sent to the agent with every commit. If it is nil, the agent looks after
	// the replicas as it did before, and has access to the engine as it had before. Only
	// with WatchesEngine it asks the engine about containers and restarts them.
	Upkeep *Upkeep
	// Agent is the host's agent.
	Agent Agent
}

// These types of the agent are part of this package's API.
type (
	// Frontend says where and how clients reach the deployment.
	Frontend = agentclient.Frontend
	// KeptSettings are the settings that a deployment keeps from one apply to the next, without
	// those that may be secrets.
	KeptSettings = agentclient.KeptSettings
	// Upkeep says how the agent looks after the replicas of one release.
	Upkeep = agentclient.Upkeep
	// AddressError reports an address that the deployment cannot listen on.
	AddressError = agentclient.AddressError
)

// AccessLogStdout is the standard output of the agent's container.
const AccessLogStdout = agentclient.AccessLogStdout

// PullPolicy says when an image is pulled.
type PullPolicy string

const (
	// PullChanged pulls an image that the host does not have, and one whose tag points at
	// another image in the registry by now. It asks the registry at every deploy.
	PullChanged PullPolicy = "changed"
	// PullMissing pulls an image that the host does not have.
	PullMissing PullPolicy = "missing"
	// PullAlways pulls at every deploy, and fails if the registry cannot be reached.
	PullAlways PullPolicy = "always"
	// PullNever uses what the host has.
	PullNever PullPolicy = "never"
)

// PullPolicies returns every PullPolicy.
func PullPolicies() []PullPolicy {
	return []PullPolicy{PullChanged, PullMissing, PullAlways, PullNever}
}

// Agent says how the host's agent is created.
type Agent struct {
	// Name is the name of the agent's container and volume. The default is
	// defaultAgent. Agents with different names are independent of each other.
	Name string
	// Image is an image with this program at AgentProgram. If it is "", an image is built
	// from the running program, whose system and CPU must be those of the host.
	Image string
	// Replace replaces an agent with another image, without a dropped request. An agent
	// that is too old for this program to talk to is replaced in any case.
	Replace bool
}

const (
	// defaultAgent is the default name of the agent's container and volume.
	defaultAgent = "bluegreen-agent"
	// AgentProgram is the path of this program in an agent's image.
	AgentProgram = "/terraform-provider-bluegreen"
)

// validate returns an error about values that no engine accepts.
func (o Options) validate() error {
	var problems []error
	if err := agentclient.ValidateName(o.Name); err != nil {
		problems = append(problems, err)
	}
	if !slices.Contains(PullPolicies(), o.Pull) {
		problems = append(problems, fmt.Errorf("pull is %q, and must be changed, missing, always or never", o.Pull))
	}
	return errors.Join(problems...)
}
