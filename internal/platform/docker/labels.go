// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"fmt"

	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/dockerapi"
)

// The labels of the objects that the provider creates. Their values are names and
// digests, never settings.
const (
	// LabelPrefix is the prefix of all of them.
	LabelPrefix = dockerapi.LabelPrefix

	labelAgent       = dockerapi.LabelAgent
	labelDeployment  = dockerapi.LabelDeployment
	labelEnvironment = dockerapi.LabelEnvironment
	labelReplica     = dockerapi.LabelReplica
	// labelVersion holds the release's version, for people.
	labelVersion = LabelPrefix + "version"
	// labelFingerprint holds the fingerprint of the container's spec.
	labelFingerprint = LabelPrefix + "fingerprint"
	// labelProgram holds the digest of the program in an agent's image.
	labelProgram = LabelPrefix + "program"
)

// nameConflictError reports an object that has a name the deployment needs, and that
// does not belong to the deployment. Such an object is never changed.
type nameConflictError struct {
	// Kind is "container", "network" or "volume".
	Kind, Name string
}

func (e *nameConflictError) Error() string {
	return fmt.Sprintf("there is a %s called %q already that does not belong to this deployment. "+
		"It was not changed: rename or remove it", e.Kind, e.Name)
}

// labels returns the labels of everything that belongs to this deployment.
func (p *Platform) labels() map[string]string {
	return map[string]string{labelAgent: p.agent.Name, labelDeployment: p.name}
}

// isOwn reports whether an object with these labels belongs to this deployment.
func (p *Platform) isOwn(labels map[string]string) bool {
	return labels[labelAgent] == p.agent.Name && labels[labelDeployment] == p.name
}

// deploymentFilter selects everything that belongs to this deployment.
func (p *Platform) deploymentFilter() client.Filters {
	return client.Filters{}.Add("label", labelAgent+"="+p.agent.Name, labelDeployment+"="+p.name)
}

// environmentFilter selects the containers of one environment.
func (p *Platform) environmentFilter(env bluegreen.Environment) client.Filters {
	return p.deploymentFilter().Add("label", labelEnvironment+"="+string(env))
}
