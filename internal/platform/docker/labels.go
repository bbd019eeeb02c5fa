// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"fmt"

	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The labels of what is ours. Their values are names and digests, never settings.
const (
	// LabelPrefix begins them all.
	LabelPrefix = "io.github.bluegreen."
	// labelAgent is the name of the agent that the object belongs to.
	labelAgent       = LabelPrefix + "agent"
	labelDeployment  = LabelPrefix + "deployment"
	labelEnvironment = LabelPrefix + "environment"
	// labelReplica is the instance's ID, "green-1".
	labelReplica = LabelPrefix + "replica"
	// labelVersion is the release's, for people.
	labelVersion = LabelPrefix + "version"
	// labelFingerprint tells containers that are made from the same blueprint.
	labelFingerprint = LabelPrefix + "fingerprint"
	// labelProgram is the digest of the program in an agent's image.
	labelProgram = LabelPrefix + "program"
)

// ForeignError is an object with a name that is needed and that belongs to
// somebody else. It is never touched.
type ForeignError struct {
	// Kind is "container", "network" or "volume".
	Kind, Name string
}

func (e *ForeignError) Error() string {
	return fmt.Sprintf("there is a %s called %q already that does not belong to this deployment; rename or remove it", e.Kind, e.Name)
}

// labels are those of everything of this deployment.
func (p *Platform) labels() map[string]string {
	return map[string]string{labelAgent: p.agent.Name, labelDeployment: p.name}
}

// owns reports whether something with labels is this deployment's.
func (p *Platform) owns(labels map[string]string) bool {
	return labels[labelAgent] == p.agent.Name && labels[labelDeployment] == p.name
}

// ofDeployment selects what is this deployment's.
func (p *Platform) ofDeployment() client.Filters {
	return client.Filters{}.Add("label", labelAgent+"="+p.agent.Name, labelDeployment+"="+p.name)
}

// ofEnvironment selects the containers of one of its environments.
func (p *Platform) ofEnvironment(env bluegreen.Environment) client.Filters {
	return p.ofDeployment().Add("label", labelEnvironment+"="+string(env))
}
