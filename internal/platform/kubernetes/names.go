// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// The labels of the objects that this provider manages. It finds objects by the first
// two. The third says which template a pod was made from. The others are for people and
// their tools.
const (
	labelDeployment  = cluster.FieldManager + "/deployment"
	labelEnvironment = cluster.FieldManager + "/environment"
	labelTemplate    = cluster.FieldManager + "/template"
	labelName        = "app.kubernetes.io/name"
	labelInstance    = "app.kubernetes.io/instance"
	labelVersion     = "app.kubernetes.io/version"
	labelManagedBy   = "app.kubernetes.io/managed-by"
)

// longestName leaves room for "-preview" in the name of a Service.
const longestName = validation.DNS1035LabelMaxLength - len("-preview")

// noEnvironment is the environment that a Service without traffic selects. No pod is in
// it. A Service without any selector would keep its endpoints.
const noEnvironment = "none"

// ValidateName returns an error unless a deployment can have this name. A Service gets
// the same name.
func ValidateName(name string) error {
	if problems := validation.IsDNS1035Label(name); len(problems) > 0 {
		return fmt.Errorf("%q cannot be the name of a Service: %s", name, strings.Join(problems, "; "))
	}
	if len(name) > longestName {
		return fmt.Errorf("%q is longer than %d characters", name, longestName)
	}
	return nil
}

// validateNamespace returns an error unless a namespace can have this name.
func validateNamespace(name string) error {
	if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
		return fmt.Errorf("%q cannot be the name of a namespace: %s", name, strings.Join(problems, "; "))
	}
	return nil
}

func previewName(deployment string) string { return deployment + "-preview" }

func leaseName(deployment string) string { return deployment + "-bluegreen" }

func workloadName(deployment string, env bluegreen.Environment) string {
	return deployment + "-" + env.String()
}

// objectName returns the name of an object in errors, such as "Service default/web".
func objectName(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }

// serviceObject returns the name of the live Service in errors.
func (p *Platform) serviceObject() string {
	return objectName("Service", p.opts.Namespace, p.opts.Name)
}

// leaseObject returns the name of the Lease in errors.
func (p *Platform) leaseObject() string {
	return objectName("Lease", p.opts.Namespace, leaseName(p.opts.Name))
}

// deploymentObject returns the name of a Deployment in errors.
func (p *Platform) deploymentObject(name string) string {
	return objectName("Deployment", p.opts.Namespace, name)
}

// objectLabels returns the labels that every object of the deployment has.
func objectLabels(deployment string) map[string]string {
	return map[string]string{
		labelDeployment: deployment,
		labelName:       deployment,
		labelInstance:   deployment,
		labelManagedBy:  cluster.FieldManager,
	}
}

// podLabels returns the labels that select the pods of an environment.
func podLabels(deployment, env string) map[string]string {
	return map[string]string{labelDeployment: deployment, labelEnvironment: env}
}

// versionLabel returns a version as the value of a label, in which "+" is not allowed.
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

// mergeMaps returns the entries of both maps. If both have a key, b wins.
func mergeMaps(a, b map[string]string) map[string]string { return labels.Merge(a, b) }
