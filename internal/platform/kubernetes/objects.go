// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// fieldManager is whose fields ours are in a server-side apply.
const fieldManager = "terraform-provider-bluegreen"

// What our objects carry. The first two are what we find them by; the others
// are for people and their tools.
const (
	labelDeployment  = fieldManager + "/deployment"
	labelEnvironment = fieldManager + "/environment"
	labelTemplate    = fieldManager + "/template"
	labelName        = "app.kubernetes.io/name"
	labelInstance    = "app.kubernetes.io/instance"
	labelVersion     = "app.kubernetes.io/version"
	labelManagedBy   = "app.kubernetes.io/managed-by"
)

// longestName leaves room for "-preview" in the name of a Service.
const longestName = validation.DNS1035LabelMaxLength - len("-preview")

// nowhere is the environment that a Service without traffic selects: a Service
// without a selector would keep the endpoints that it has.
const nowhere = "none"

// ValidateName returns an error unless a deployment can have this name: it is
// that of a Service.
func ValidateName(name string) error {
	if problems := validation.IsDNS1035Label(name); len(problems) > 0 {
		return fmt.Errorf("%q is no name for a Service: %s", name, strings.Join(problems, "; "))
	}
	if len(name) > longestName {
		return fmt.Errorf("%q is longer than %d characters", name, longestName)
	}
	return nil
}

// ValidateNamespace returns an error unless name can be that of a namespace.
func ValidateNamespace(name string) error {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return fmt.Errorf("%q is no name for a namespace: %s", name, strings.Join(problems, "; "))
	}
	return nil
}

func previewName(deployment string) string { return deployment + "-preview" }

func leaseName(deployment string) string { return deployment + "-bluegreen" }

func workloadName(deployment string, env bluegreen.Environment) string {
	return deployment + "-" + env.String()
}

// objectLabels are on every object of the deployment.
func objectLabels(deployment string) map[string]string {
	return map[string]string{
		labelDeployment: deployment,
		labelName:       deployment,
		labelInstance:   deployment,
		labelManagedBy:  fieldManager,
	}
}

// podLabels select the pods of an environment.
func podLabels(deployment, env string) map[string]string {
	return map[string]string{labelDeployment: deployment, labelEnvironment: env}
}

// versionLabel makes a label's value of a version: "+" is not allowed in one.
func versionLabel(version string) string {
	value := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '.':
			return r
		default:
			return '_'
		}
	}, version)
	return strings.Trim(value[:min(len(value), validation.LabelValueMaxLength)], "-._")
}

// ServiceOptions is how clients reach the live environment.
type ServiceOptions struct {
	// Type is "ClusterIP", "NodePort" or "LoadBalancer"; "" is ClusterIP.
	Type string
	// Port is the one that clients use; 0 is the port of the pods.
	Port int
	// NodePort is the port on every node; 0 lets the cluster choose.
	NodePort            int
	Annotations, Labels map[string]string
}

// OptionError is a setting that cannot be applied.
type OptionError struct {
	// Option is its name in the kubernetes block: "service.port".
	Option string
	Err    error
}

func (e *OptionError) Error() string { return e.Option + ": " + e.Err.Error() }

// Unwrap makes the cause visible to errors.Is and errors.As.
func (e *OptionError) Unwrap() error { return e.Err }

func noPort(option string, port int) error {
	return &OptionError{option, fmt.Errorf("%d is no port: it is 1 to 65535", port)}
}

func (s ServiceOptions) validate() error {
	switch corev1.ServiceType(s.Type) {
	case "", corev1.ServiceTypeClusterIP:
		if s.NodePort != 0 {
			return &OptionError{"service.node_port", errors.New("needs the type NodePort or LoadBalancer")}
		}
	case corev1.ServiceTypeNodePort, corev1.ServiceTypeLoadBalancer:
	default:
		return &OptionError{"service.type", fmt.Errorf("%q is none of ClusterIP, NodePort, LoadBalancer", s.Type)}
	}
	for option, port := range map[string]int{"service.port": s.Port, "service.node_port": s.NodePort} {
		if port < 0 || port > 65535 {
			return noPort(option, port)
		}
	}
	for key := range s.Annotations {
		if strings.HasPrefix(key, fieldManager+"/") {
			return &OptionError{"service.annotations", fmt.Errorf("%s is kept by the provider", key)}
		}
	}
	for key, value := range s.Labels {
		if _, ours := objectLabels("")[key]; ours {
			return &OptionError{"service.labels", fmt.Errorf("%s is kept by the provider", key)}
		}
		if problems := append(validation.IsQualifiedName(key), validation.IsValidLabelValue(value)...); len(problems) > 0 {
			return &OptionError{"service.labels", fmt.Errorf("%s: %s", key, strings.Join(problems, "; "))}
		}
	}
	return nil
}

// merged returns the pairs of both maps; where both have a key, that of b.
func merged(a, b map[string]string) map[string]string { return labels.Merge(a, b) }
