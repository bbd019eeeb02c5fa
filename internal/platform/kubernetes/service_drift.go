// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// annotationRoute says what the last commit has set on the live Service that decides whether clients
// reach it. A Service of an earlier version has none.
const annotationRoute = cluster.FieldManager + "/route"

// route is the type and the ports of a Service, as this provider sets them. What it leaves to
// others is empty.
type route struct {
	Type  string        `json:"type,omitempty"`
	Ports []servicePort `json:"ports"`
}

// recordRoute writes down what the apply sets.
func (a serviceApply) recordRoute() error {
	encoded, err := json.Marshal(route{a.Spec.Type, a.Spec.Ports})
	a.Metadata.Annotations[annotationRoute] = string(encoded)
	return err
}

// hasRecordedRoute reports whether the Service has the type and the ports that the last commit has
// set. Somebody else may have changed them since.
func hasRecordedRoute(service *corev1.Service) bool {
	text := service.Annotations[annotationRoute]
	if text == "" {
		return true
	}
	var recorded route
	if json.Unmarshal([]byte(text), &recorded) != nil {
		return false
	}
	if recorded.Type != "" && string(service.Spec.Type) != recorded.Type {
		return false
	}
	for _, want := range recorded.Ports {
		if !slices.ContainsFunc(service.Spec.Ports, want.isSetOn) {
			return false
		}
	}
	return true
}

// isSetOn reports whether a port of a Service is as this provider has set it.
func (p servicePort) isSetOn(found corev1.ServicePort) bool {
	return int(found.Port) == p.Port && found.TargetPort == p.TargetPort && found.Protocol == p.Protocol &&
		(p.NodePort == 0 || int(found.NodePort) == p.NodePort)
}

// hasOtherPort reports whether somebody has put another number in the place of the port. Both can
// not be there: a Service with several ports needs their names.
func (p servicePort) hasOtherPort(service *corev1.Service) bool {
	return !hasRecordedRoute(service) && slices.ContainsFunc(service.Spec.Ports, func(found corev1.ServicePort) bool {
		return found.Name == "" && int(found.Port) != p.Port
	})
}

// replacePorts sets the ports of the Service, and returns it after that. Clients that use the port
// are served again from then on, by the environment that the Service selects.
func (p *Platform) replacePorts(
	ctx context.Context, run *lockedRun, service *corev1.Service, ports []servicePort,
) (*corev1.Service, error) {
	// The cluster refuses the patch if the Service has changed since it was read.
	patch, err := json.Marshal([]map[string]any{
		{"op": "replace", "path": "/metadata/resourceVersion", "value": service.ResourceVersion},
		{"op": "replace", "path": "/spec/ports", "value": ports},
	})
	if err != nil {
		return nil, err
	}
	api, err := run.Writer(ctx)
	if err != nil {
		return nil, err
	}
	return api.Services(p.opts.Namespace).Patch(ctx, service.Name, types.JSONPatchType, patch,
		metav1.PatchOptions{FieldManager: createManager})
}
