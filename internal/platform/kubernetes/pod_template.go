// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	strictjson "sigs.k8s.io/json"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// TemplateError reports a pod_template that cannot be used.
type TemplateError struct{ Err error }

func (e *TemplateError) Error() string { return "pod_template: " + e.Err.Error() }

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *TemplateError) Unwrap() error { return e.Err }

// A pod that is being deleted goes on serving during its preStop hook. This gives every
// node the time to stop sending it connections. The hook takes a third of the drain
// timeout, within these limits: kube-proxy follows within a second, and a load balancer
// may take longer.
const (
	minPreStopDelay = 2 * time.Second
	maxPreStopDelay = 10 * time.Second
)

// portName is the name of the port at which clients are served. The Services refer to
// it, so that a release may listen on another port than the one before.
const portName = "traffic"

// podTemplate returns the pod template of a release in an environment. It merges the
// release's own template over the generated one, as kubectl merges a patch: containers,
// volumes and variables are merged by name.
//
// The Deployment contains the template, and with it the values of the release's
// environment variables. Whoever may read Deployments may read them. The value of a
// variable with a secretKeyRef is not in the template.
func (o Options) podTemplate(env bluegreen.Environment, release bluegreen.Release) (json.RawMessage, error) {
	settings, err := settingsOf(release)
	if err != nil {
		return nil, err
	}
	o.PodSettings = settings
	user, err := o.userTemplate()
	if err != nil {
		return nil, err
	}
	generated, err := json.Marshal(o.generatedTemplate(env, release, user))
	if err != nil {
		return nil, fmt.Errorf("encoding the pod template: %w", err)
	}
	if user == nil {
		return labelWithDigest(generated)
	}
	merged, err := strategicpatch.StrategicMergePatch(generated, []byte(o.PodTemplate), corev1.PodTemplateSpec{})
	if err != nil {
		return nil, &TemplateError{err}
	}
	template, err := decodeTemplate(merged)
	if err != nil {
		return nil, &TemplateError{err}
	}
	if err := o.checkMerged(env, release.Image, template); err != nil {
		return nil, &TemplateError{err}
	}
	// The same settings always have the same bytes, because the template is encoded
	// again.
	canonical, err := json.Marshal(template)
	if err != nil {
		return nil, fmt.Errorf("encoding the pod template: %w", err)
	}
	return labelWithDigest(canonical)
}

// userTemplate returns the user's template, or nil if there is none.
func (o Options) userTemplate() (*corev1.PodTemplateSpec, error) {
	if o.PodTemplate == "" {
		return nil, nil
	}
	user, err := decodeTemplate([]byte(o.PodTemplate))
	if err != nil {
		return nil, &TemplateError{err}
	}
	return user, nil
}

// decodeTemplate decodes a pod template. It refuses unknown fields, except for the
// directives of a patch.
func decodeTemplate(encoded []byte) (*corev1.PodTemplateSpec, error) {
	var tree any
	if err := json.Unmarshal(encoded, &tree); err != nil {
		return nil, fmt.Errorf("is not JSON: %w", err)
	}
	plain, err := json.Marshal(withoutDirectives(tree))
	if err != nil {
		return nil, err
	}
	var template corev1.PodTemplateSpec
	strict, err := strictjson.UnmarshalStrict(plain, &template)
	if err != nil {
		return nil, fmt.Errorf("is not a pod template: %w", err)
	}
	if len(strict) > 0 {
		return nil, fmt.Errorf("is not a pod template: %w", errors.Join(strict...))
	}
	return &template, nil
}

// withoutDirectives returns the JSON without "$patch", "$retainKeys" and the like.
func withoutDirectives(tree any) any {
	switch node := tree.(type) {
	case map[string]any:
		kept := make(map[string]any, len(node))
		for key, value := range node {
			if key == "" || key[0] != '$' {
				kept[key] = withoutDirectives(value)
			}
		}
		return kept
	case []any:
		kept := make([]any, len(node))
		for i, value := range node {
			kept[i] = withoutDirectives(value)
		}
		return kept
	default:
		return tree
	}
}

// annotationTriggers of a pod has the digest of its release's triggers.
const annotationTriggers = cluster.FieldManager + "/triggers"

// generatedTemplate returns the pod template before the user's is merged over it. It
// leaves out the readiness probe or the preStop hook if the user's container has its own,
// because probes of two kinds cannot be merged.
func (o Options) generatedTemplate(
	env bluegreen.Environment, release bluegreen.Release, user *corev1.PodTemplateSpec,
) corev1.PodTemplateSpec {
	port := corev1.ContainerPort{Name: portName, ContainerPort: int32(o.Port), Protocol: corev1.ProtocolTCP}
	container := corev1.Container{
		Name: o.Name, Image: release.Image, Command: release.Command, Args: release.Args,
		Env:            o.variables(env, release),
		Ports:          []corev1.ContainerPort{port},
		ReadinessProbe: o.readinessProbe(),
		Lifecycle:      o.lifecycle(),
	}
	if given := findContainer(user, o.Name); given != nil {
		if given.ReadinessProbe != nil {
			container.ReadinessProbe = nil
		}
		if given.Lifecycle != nil && given.Lifecycle.PreStop != nil {
			container.Lifecycle = nil
		}
	}
	labels := mergeMaps(podLabels(o.Name, env.String()), map[string]string{
		labelManagedBy: cluster.FieldManager, labelVersion: versionLabel(release.Version),
	})
	if o.adoptedSelector == nil {
		labels[labelName], labels[labelInstance] = o.Name, o.Name
	}
	annotations := map[string]string{"kubectl.kubernetes.io/default-container": o.Name}
	if digest := release.TriggersDigest(); digest != "" {
		annotations[annotationTriggers] = digest
	}
	grace := int64(o.gracePeriod().Seconds())
	serviceLinks := false
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations},
		Spec: corev1.PodSpec{
			Containers:                    []corev1.Container{container},
			TerminationGracePeriodSeconds: &grace,
			// Pods get no variables for the other Services of the namespace.
			EnableServiceLinks: &serviceLinks,
		},
	}
}

// variables returns the release's environment variables, and those that replicas have on
// every platform.
func (o Options) variables(env bluegreen.Environment, release bluegreen.Release) []corev1.EnvVar {
	values := map[string]string{
		"PORT": strconv.Itoa(o.Port), "HOST": "0.0.0.0",
		"BLUEGREEN_ENVIRONMENT": env.String(), "BLUEGREEN_VERSION": release.Version,
	}
	maps.Copy(values, release.Variables())
	variables := make([]corev1.EnvVar, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		variables = append(variables, corev1.EnvVar{Name: name, Value: values[name]})
	}
	return variables
}

// preStopDelay returns how long a pod that is being deleted goes on serving.
func (o Options) preStopDelay() time.Duration {
	return max(minPreStopDelay, min(maxPreStopDelay, o.DrainTimeout/3)).Truncate(time.Second)
}

// gracePeriod returns how long a pod may take to end, including the preStop delay.
func (o Options) gracePeriod() time.Duration {
	return max(o.DrainTimeout, o.preStopDelay()+time.Second)
}

func (o Options) lifecycle() *corev1.Lifecycle {
	sleep := &corev1.SleepAction{Seconds: int64(o.preStopDelay().Seconds())}
	return &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: sleep}}
}

// checkMerged returns an error if the merged template makes pods that the deployment does
// not find, or that do not run its release.
func (o Options) checkMerged(env bluegreen.Environment, image string, template *corev1.PodTemplateSpec) error {
	for key, want := range podLabels(o.Name, env.String()) {
		if template.Labels[key] != want {
			return fmt.Errorf("the label %s selects the pods and cannot be changed", key)
		}
	}
	adopted := labels.SelectorFromSet(o.adoptedSelector)
	if o.adoptedSelector != nil && adopted.Matches(labels.Set(template.Labels)) {
		return fmt.Errorf("its labels are those that select the pods of the adopted Deployment, %s",
			labels.FormatLabels(o.adoptedSelector))
	}
	container := findContainer(template, o.Name)
	if container == nil {
		return fmt.Errorf("the container %q runs the release and cannot be removed or renamed", o.Name)
	}
	if container.Image != image {
		return fmt.Errorf("the image of the container %q must be that of the release, %s", o.Name, image)
	}
	if !slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.Name == portName }) {
		return fmt.Errorf("the port %d of the container %q must keep its name, %q", o.Port, o.Name, portName)
	}
	return nil
}

// findContainer returns the container of this name, or nil if there is none.
func findContainer(template *corev1.PodTemplateSpec, name string) *corev1.Container {
	if template == nil {
		return nil
	}
	i := slices.IndexFunc(template.Spec.Containers, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &template.Spec.Containers[i]
}

// labelWithDigest adds a label with the digest of the template. Each pod has the label,
// which says what template the pod was made from.
func labelWithDigest(encoded []byte) (json.RawMessage, error) {
	sum := sha256.Sum256(encoded)
	label := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, labelTemplate, hex.EncodeToString(sum[:8]))
	return strategicpatch.StrategicMergePatch(encoded, []byte(label), corev1.PodTemplateSpec{})
}
