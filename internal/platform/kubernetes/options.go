// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// Options say which deployment it is, and how it runs on the cluster.
type Options struct {
	// Namespace and Name are the names of the Service that clients use, and of its
	// namespace.
	Namespace, Name string
	// PodSettings are the settings in the configuration. New validates them, and Port is
	// the default of Service.Port. Provision uses the settings of the release instead,
	// which the ledger keeps.
	PodSettings
	Service ServiceOptions
	// HealthCheck is the health check in the configuration. The readiness probe of new
	// pods is made from it. If it is nil, the probe connects to the port.
	HealthCheck *health.Config
	// UnhealthyThreshold is how many probes in a row must fail until the readiness probe of
	// HealthCheck takes a pod out of the traffic; 0 means 3, the default of Kubernetes.
	UnhealthyThreshold int
	// DrainTimeout is how long requests in flight to the old environment may take. It is
	// also the grace period of the pods.
	DrainTimeout time.Duration
	// RecycleStandby replaces the standby's pods, one by one, when the watch over the new
	// environment has ended. Without it, clients that keep their connections open stay on
	// the old pods.
	RecycleStandby bool
	// Adopt takes over an existing Service of this name, which this provider does not
	// manage, and the Deployment that it selects.
	Adopt bool
	// Key is the key of the fingerprints, if it is known already. Otherwise it is read from
	// the Deployments.
	Key bluegreen.FingerprintKey
	// adoptedSelector are the labels that select the pods of the adopted Deployment. No
	// pod of a release may have all of them.
	adoptedSelector map[string]string
	// SchedulingGrace is how long a pod may wait for a node before the deploy fails; 0 is
	// 30 seconds.
	SchedulingGrace time.Duration
}

// defaultSchedulingGrace gives a node time to have room again. It is too short for a new
// node to be added.
const defaultSchedulingGrace = 30 * time.Second

// PodSettings are the part of a release that only Kubernetes knows. A release carries
// them as its Settings, so that changing them makes another release.
type PodSettings struct {
	// Port is the port that the pods listen on. They find it in the variable PORT. 0
	// means that it is not known. That is enough for an existing deployment that gets no
	// new pods.
	Port int
	// PodTemplate is JSON that is merged over the generated pod template; "" is nothing.
	PodTemplate string
}

var _ bluegreen.Settings = PodSettings{}

// Identity implements bluegreen.Settings. It contains the decoded pod template, so that
// the same JSON in another format is the same release.
func (s PodSettings) Identity() string {
	identity := struct {
		Port        int `json:"port"`
		PodTemplate any `json:"pod_template,omitempty"`
	}{Port: s.Port}
	if s.PodTemplate != "" && json.Unmarshal([]byte(s.PodTemplate), &identity.PodTemplate) != nil {
		// The plan refuses a template that is not JSON. Here it is enough that two of
		// them are different releases.
		identity.PodTemplate = s.PodTemplate
	}
	// Numbers and values that were decoded from JSON always encode; map keys are sorted.
	encoded, _ := json.Marshal(identity)
	return string(encoded)
}

// settingsOf returns the settings that a release has for Kubernetes.
func settingsOf(release bluegreen.Release) (PodSettings, error) {
	settings, ok := release.Settings.(PodSettings)
	if !ok {
		return settings, errors.New("the release was not made for Kubernetes: it has no kubernetes settings")
	}
	return settings, nil
}

// ServiceOptions say how clients reach the live environment.
type ServiceOptions struct {
	// Type is "ClusterIP", "NodePort" or "LoadBalancer"; "" is ClusterIP.
	Type string
	// Port is the port that clients use; 0 is the port of the pods.
	Port int
	// NodePort is the port on every node; 0 lets the cluster choose.
	NodePort            int
	Annotations, Labels map[string]string
}

// OptionError reports a setting that cannot be used.
type OptionError struct {
	// Option is the name of the setting in the kubernetes block, such as "service.port".
	Option string
	Err    error
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *OptionError) Unwrap() error { return e.Err }

func portError(option string, port int) error {
	return &OptionError{option, fmt.Errorf("%d is not a port: it must be between 1 and 65535", port)}
}

// Validate returns a *TemplateError, an *OptionError, or another error, unless
// the options can be applied to a release with this image.
func (o Options) Validate(image string) error {
	if o.Port == 0 {
		return portError("port", o.Port)
	}
	return o.validate(image)
}

// validate does the work of Validate. The port may be unknown.
func (o Options) validate(image string) error {
	if err := ValidateName(o.Name); err != nil {
		return err
	}
	if err := validateNamespace(o.Namespace); err != nil {
		return &OptionError{"namespace", err}
	}
	if o.Port < 0 || o.Port > 65535 {
		return portError("port", o.Port)
	}
	if err := o.Service.validate(); err != nil {
		return err
	}
	for _, env := range bluegreen.Environments() {
		if _, err := o.podTemplate(env, bluegreen.Release{Image: image, Settings: o.PodSettings}); err != nil {
			return err
		}
	}
	return nil
}

func (s ServiceOptions) validate() error {
	switch corev1.ServiceType(s.Type) {
	case "", corev1.ServiceTypeClusterIP:
		if s.NodePort != 0 {
			return &OptionError{"service.node_port", errors.New("needs service.type = NodePort or LoadBalancer")}
		}
	case corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
	default:
		err := fmt.Errorf("%q must be ClusterIP, NodePort or LoadBalancer", s.Type)
		return &OptionError{"service.type", err}
	}
	for option, port := range map[string]int{"service.port": s.Port, "service.node_port": s.NodePort} {
		if port < 0 || port > 65535 {
			return portError(option, port)
		}
	}
	for key := range s.Annotations {
		if strings.HasPrefix(key, cluster.FieldManager+"/") {
			return &OptionError{"service.annotations", fmt.Errorf("%s is set by the provider", key)}
		}
	}
	for key, value := range s.Labels {
		if _, ours := objectLabels("")[key]; ours {
			return &OptionError{"service.labels", fmt.Errorf("%s is set by the provider", key)}
		}
		problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...)
		if len(problems) > 0 {
			return &OptionError{"service.labels", fmt.Errorf("%s: %s", key, strings.Join(problems, "; "))}
		}
	}
	return nil
}
