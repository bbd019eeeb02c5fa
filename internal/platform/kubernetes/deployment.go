// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// deploymentApply is the whole of what we want a Deployment to be, for a
// server-side apply.
type deploymentApply struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        objectMeta     `json:"metadata"`
	Spec            deploymentSpec `json:"spec"`
}

type deploymentSpec struct {
	Replicas int                  `json:"replicas"`
	Selector metav1.LabelSelector `json:"selector"`
	// Paused is false: nothing becomes of a Deployment that somebody paused.
	Paused bool `json:"paused"`
	// RevisionHistoryLimit is 0: what to go back to is the other environment.
	RevisionHistoryLimit int             `json:"revisionHistoryLimit"`
	Strategy             strategy        `json:"strategy"`
	Template             json.RawMessage `json:"template"`
}

// strategy replaces pods one by one, new ones ready first.
type strategy struct {
	Type          string        `json:"type"`
	RollingUpdate rollingUpdate `json:"rollingUpdate"`
}

type rollingUpdate struct {
	MaxSurge       int `json:"maxSurge"`
	MaxUnavailable int `json:"maxUnavailable"`
}

// oneByOne never takes away a pod before the one in its place is ready.
var oneByOne = strategy{"RollingUpdate", rollingUpdate{MaxSurge: 1, MaxUnavailable: 0}}

var deploymentKind = metav1.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"}

// deployment is what env is to be when it runs release.
func (o Options) deployment(env bluegreen.Environment, release bluegreen.Release) (deploymentApply, error) {
	template, err := o.podTemplate(env, release)
	if err != nil {
		return deploymentApply{}, err
	}
	return deploymentApply{
		deploymentKind,
		objectMeta{
			Name: workloadName(o.Name, env), Namespace: o.Namespace,
			Labels: merged(objectLabels(o.Name), map[string]string{
				labelEnvironment: env.String(), labelVersion: versionLabel(release.Version), labelTemplate: templateOf(template),
			}),
		},
		deploymentSpec{
			Replicas: release.Replicas,
			Selector: metav1.LabelSelector{MatchLabels: podLabels(o.Name, env.String())},
			Strategy: oneByOne,
			Template: template,
		},
	}, nil
}

// templateOf is the digest that a template is stamped with.
func templateOf(template json.RawMessage) string {
	var labelled struct{ Metadata objectMeta }
	// It was encoded a moment ago.
	_ = json.Unmarshal(template, &labelled)
	return labelled.Metadata.Labels[labelTemplate]
}
