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
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
	strictjson "sigs.k8s.io/json"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// TemplateError is a pod_template that cannot be used.
type TemplateError struct{ Err error }

func (e *TemplateError) Error() string { return "pod_template: " + e.Err.Error() }

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *TemplateError) Unwrap() error { return e.Err }

// A pod that is told to end goes on serving for a while as if nothing had
// happened, so that every node has heard of it before its connections are
// refused: a third of the drain timeout, within these limits. kube-proxy follows
// within a second, a load balancer may take longer.
const (
	shortestSettling = 2 * time.Second
	longestSettling  = 10 * time.Second
)

// portName is the name of the port that clients are served at. The Services go by
// it, so that a release may listen elsewhere than the one before.
const portName = "traffic"

// podTemplate is what the pods of an environment are made from. user is a pod
// template in JSON that is merged over the generated one as kubectl merges a
// patch: lists of containers, volumes and variables by their names.
//
// The values of the release's environment variables are in it, and with it in
// the Deployment: who may read Deployments may read them. A variable in user
// with a secretKeyRef keeps its value to those who may read Secrets.
func (o Options) podTemplate(env bluegreen.Environment, release bluegreen.Release) (json.RawMessage, error) {
	user, err := o.userTemplate()
	if err != nil {
		return nil, err
	}
	generated, err := json.Marshal(o.generatedTemplate(env, release, user))
	if err != nil {
		return nil, fmt.Errorf("encoding the pod template: %w", err)
	}
	if user == nil {
		return stamped(generated)
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
	// Once more through its type, so that the same settings are the same bytes.
	canonical, err := json.Marshal(template)
	if err != nil {
		return nil, fmt.Errorf("encoding the pod template: %w", err)
	}
	return stamped(canonical)
}

// userTemplate returns the user's template, nil where there is none.
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

// decodeTemplate refuses what a pod template has no field for, except for the
// directives of a patch.
func decodeTemplate(encoded []byte) (*corev1.PodTemplateSpec, error) {
	var tree any
	if err := json.Unmarshal(encoded, &tree); err != nil {
		return nil, fmt.Errorf("is no JSON: %w", err)
	}
	plain, err := json.Marshal(withoutDirectives(tree))
	if err != nil {
		return nil, err
	}
	var template corev1.PodTemplateSpec
	strict, err := strictjson.UnmarshalStrict(plain, &template)
	if err != nil {
		return nil, fmt.Errorf("is no pod template: %w", err)
	}
	if len(strict) > 0 {
		return nil, fmt.Errorf("is no pod template: %w", errors.Join(strict...))
	}
	return &template, nil
}

// withoutDirectives drops "$patch", "$retainKeys" and their like.
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

// generatedTemplate is what there is without the user's template. It has no
// probe and no hook of which the user's container has its own: two kinds of one
// probe cannot be merged.
func (o Options) generatedTemplate(env bluegreen.Environment, release bluegreen.Release, user *corev1.PodTemplateSpec) corev1.PodTemplateSpec {
	container := corev1.Container{
		Name: o.Name, Image: release.Image, Command: release.Command, Args: release.Args,
		Env:            o.variables(env, release),
		Ports:          []corev1.ContainerPort{{Name: portName, ContainerPort: int32(o.Port), Protocol: corev1.ProtocolTCP}},
		ReadinessProbe: accepting(o.Port),
		Lifecycle:      o.lifecycle(),
	}
	if given := containerOf(user, o.Name); given != nil {
		if given.ReadinessProbe != nil {
			container.ReadinessProbe = nil
		}
		if given.Lifecycle != nil && given.Lifecycle.PreStop != nil {
			container.Lifecycle = nil
		}
	}
	own := merged(podLabels(o.Name, env.String()), map[string]string{
		labelManagedBy: fieldManager, labelVersion: versionLabel(release.Version),
	})
	if o.avoid == nil {
		own[labelName], own[labelInstance] = o.Name, o.Name
	}
	grace := int64(o.grace().Seconds())
	serviceLinks := false
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{
			Labels:      own,
			Annotations: map[string]string{"kubectl.kubernetes.io/default-container": o.Name},
		},
		Spec: corev1.PodSpec{
			Containers:                    []corev1.Container{container},
			TerminationGracePeriodSeconds: &grace,
			// The variables of every Service of the namespace are of no use to anybody.
			EnableServiceLinks: &serviceLinks,
		},
	}
}

// variables are the release's environment variables, and what an instance is
// told on every platform.
func (o Options) variables(env bluegreen.Environment, release bluegreen.Release) []corev1.EnvVar {
	values := map[string]string{
		"PORT": strconv.Itoa(o.Port), "HOST": "0.0.0.0",
		"BLUEGREEN_ENVIRONMENT": env.String(), "BLUEGREEN_VERSION": release.Version,
	}
	maps.Copy(values, release.Env)
	variables := make([]corev1.EnvVar, 0, len(values))
	for _, name := range slices.Sorted(maps.Keys(values)) {
		variables = append(variables, corev1.EnvVar{Name: name, Value: values[name]})
	}
	return variables
}

// accepting holds a pod ready once it accepts connections. Without a probe it
// would get traffic as soon as its process exists. The timeout is long, because
// a port that nobody listens at refuses at once, and a node that is busy for a
// moment is no reason to take the traffic from all of its pods.
func accepting(port int) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(port)}},
		PeriodSeconds: 1, TimeoutSeconds: 5, SuccessThreshold: 1, FailureThreshold: 3,
	}
}

// settling is how long a pod that is told to end goes on as it was.
func (o Options) settling() time.Duration {
	return max(shortestSettling, min(longestSettling, o.DrainTimeout/3)).Truncate(time.Second)
}

// grace is the time that a pod has to end, settling included.
func (o Options) grace() time.Duration {
	return max(o.DrainTimeout, o.settling()+time.Second)
}

func (o Options) lifecycle() *corev1.Lifecycle {
	sleep := &corev1.SleepAction{Seconds: int64(o.settling().Seconds())}
	return &corev1.Lifecycle{PreStop: &corev1.LifecycleHandler{Sleep: sleep}}
}

// checkMerged refuses what would take the pods away from the deployment.
func (o Options) checkMerged(env bluegreen.Environment, image string, template *corev1.PodTemplateSpec) error {
	for key, want := range podLabels(o.Name, env.String()) {
		if template.Labels[key] != want {
			return fmt.Errorf("the label %s selects the pods and cannot be changed", key)
		}
	}
	if o.avoid != nil && labels.SelectorFromSet(o.avoid).Matches(labels.Set(template.Labels)) {
		return fmt.Errorf("its labels are those that select the pods of the adopted Deployment, %s", labels.FormatLabels(o.avoid))
	}
	container := containerOf(template, o.Name)
	if container == nil {
		return fmt.Errorf("the container %q runs the release and cannot be removed or renamed", o.Name)
	}
	if container.Image != image {
		return fmt.Errorf("the image of the container %q is that of the release, %s", o.Name, image)
	}
	if !slices.ContainsFunc(container.Ports, func(p corev1.ContainerPort) bool { return p.Name == portName }) {
		return fmt.Errorf("the port %d of the container %q is called %q and cannot be renamed", o.Port, o.Name, portName)
	}
	return nil
}

func containerOf(template *corev1.PodTemplateSpec, name string) *corev1.Container {
	if template == nil {
		return nil
	}
	i := slices.IndexFunc(template.Spec.Containers, func(c corev1.Container) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return &template.Spec.Containers[i]
}

// stamped labels the template with its own digest, so that the pods tell which
// template they were made from.
func stamped(encoded []byte) (json.RawMessage, error) {
	sum := sha256.Sum256(encoded)
	label := fmt.Sprintf(`{"metadata":{"labels":{%q:%q}}}`, labelTemplate, hex.EncodeToString(sum[:8]))
	return strategicpatch.StrategicMergePatch(encoded, []byte(label), corev1.PodTemplateSpec{})
}
