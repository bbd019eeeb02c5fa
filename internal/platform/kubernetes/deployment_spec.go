// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// deploymentApply is the body of a server-side apply. It has every field of a Deployment
// that this provider sets.
type deploymentApply struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        objectMeta     `json:"metadata"`
	Spec            deploymentSpec `json:"spec"`
}

type deploymentSpec struct {
	Replicas int                  `json:"replicas"`
	Selector metav1.LabelSelector `json:"selector"`
	// Paused is always false, because a paused Deployment creates no pods.
	Paused bool `json:"paused"`
	// RevisionHistoryLimit is always 0, because a rollback goes to the other environment.
	RevisionHistoryLimit int             `json:"revisionHistoryLimit"`
	Strategy             strategy        `json:"strategy"`
	Template             json.RawMessage `json:"template"`
}

// strategy says how pods are replaced.
type strategy struct {
	Type          string        `json:"type"`
	RollingUpdate rollingUpdate `json:"rollingUpdate"`
}

type rollingUpdate struct {
	MaxSurge       int `json:"maxSurge"`
	MaxUnavailable int `json:"maxUnavailable"`
}

// oneByOne ends a pod only when its replacement is ready.
var oneByOne = strategy{"RollingUpdate", rollingUpdate{MaxSurge: 1, MaxUnavailable: 0}}

var deploymentKind = metav1.TypeMeta{Kind: "Deployment", APIVersion: "apps/v1"}

// deployment returns the Deployment that runs release in env.
func (o Options) deployment(env bluegreen.Environment, release bluegreen.Release) (deploymentApply, error) {
	template, err := o.podTemplate(env, release)
	if err != nil {
		return deploymentApply{}, err
	}
	digest := templateDigest(template)
	if template, err = o.pinImage(template, release); err != nil {
		return deploymentApply{}, err
	}
	labels := mergeMaps(objectLabels(o.Name), map[string]string{
		labelEnvironment: env.String(), labelVersion: versionLabel(release.Version),
		labelTemplate: digest,
	})
	return deploymentApply{
		deploymentKind,
		objectMeta{Name: workloadName(o.Name, env), Namespace: o.Namespace, Labels: labels},
		deploymentSpec{
			Replicas: release.Replicas,
			Selector: metav1.LabelSelector{MatchLabels: podLabels(o.Name, env.String())},
			Strategy: oneByOne,
			Template: template,
		},
	}, nil
}

// templateDigest returns the digest that a template is labelled with.
func templateDigest(template json.RawMessage) string {
	var labelled struct{ Metadata objectMeta }
	// Decoding cannot fail, because podTemplate has just encoded the template.
	_ = json.Unmarshal(template, &labelled)
	return labelled.Metadata.Labels[labelTemplate]
}

// pinImage sets the image of a release that was deployed before to the very image that it
// ran then. It keeps the label with the digest of the template, because the release is
// the same.
func (o Options) pinImage(template json.RawMessage, release bluegreen.Release) (json.RawMessage, error) {
	if release.ImageDigest == "" {
		return template, nil
	}
	decoded, err := decodeTemplate(template)
	if err != nil {
		return nil, fmt.Errorf("decoding the pod template: %w", err)
	}
	image := imageToPull(findContainer(decoded, o.Name), release)
	patch, err := json.Marshal(imagePatch(o.Name, image))
	if err != nil {
		return nil, err
	}
	return strategicpatch.StrategicMergePatch(template, patch, corev1.PodTemplateSpec{})
}
