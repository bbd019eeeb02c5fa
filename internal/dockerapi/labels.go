// SPDX-License-Identifier: MPL-2.0

package dockerapi

// The labels of the objects that the provider creates. Their values are names and
// digests, never settings.
const (
	// LabelPrefix is the prefix of all of them.
	LabelPrefix = "io.github.bluegreen."
	// LabelAgent holds the name of the agent that the object belongs to.
	LabelAgent       = LabelPrefix + "agent"
	LabelDeployment  = LabelPrefix + "deployment"
	LabelEnvironment = LabelPrefix + "environment"
	// LabelReplica holds the instance's ID, such as "green-1".
	LabelReplica = LabelPrefix + "replica"
)
