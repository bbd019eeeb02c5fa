// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// annotationRoute says what the last commit has set on a Service that decides whether clients reach
// what it leads to. A Service of an earlier version has none.
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

// serviceDrift says what somebody has changed on the Services. The next commit sets it again. What
// other programs have added to them is no drift.
func (p *Platform) serviceDrift(snapshot serviceSnapshot, preview previewResult) []string {
	if snapshot.ledger.Generation == 0 || snapshot.ledger.Destroying {
		// Nothing was set yet, as before an adoption, or nothing is going to be set any more.
		return nil
	}
	live, object := snapshot.service, p.serviceObject()
	var drift []string
	if !p.isSelectingLive(snapshot) {
		drift = append(drift, object+" has another selector")
	}
	drift = append(drift, routeDrift(object, live)...)
	drift = append(drift, mapDrift(object, "label", p.liveLabels(), live.Labels)...)
	drift = append(drift, mapDrift(object, "annotation", p.opts.Service.Annotations, live.Annotations)...)
	return append(drift, p.previewDrift(snapshot, preview)...)
}

// previewDrift says what somebody has changed on the preview. A Service of another owner in its
// place is none, because no apply may change it.
func (p *Platform) previewDrift(snapshot serviceSnapshot, preview previewResult) []string {
	found, object := preview.service, p.previewObject()
	switch {
	case preview.isForbidden:
		return nil
	case found == nil:
		return []string{object + " is missing"}
	case !p.isManagedPreview(found):
		return nil
	}
	want := p.previewService(p.workloadOf(snapshot.document, snapshot.ledger.Staging()))
	var drift []string
	if !maps.Equal(found.Spec.Selector, want.Spec.Selector) {
		drift = append(drift, object+" has another selector")
	}
	drift = append(drift, routeDrift(object, found)...)
	return append(drift, mapDrift(object, "label", want.Metadata.Labels, found.Labels)...)
}

func routeDrift(object string, service *corev1.Service) []string {
	if hasRecordedRoute(service) {
		return nil
	}
	return []string{object + " has another type or port"}
}

// mapDrift names the labels or the annotations that are not as they are wanted.
func mapDrift(object, kind string, want, found map[string]string) []string {
	var drift []string
	for _, key := range slices.Sorted(maps.Keys(want)) {
		value, exists := found[key]
		switch {
		case !exists:
			drift = append(drift, fmt.Sprintf("%s lacks the %s %s", object, kind, key))
		case value != want[key]:
			drift = append(drift, fmt.Sprintf("%s has another value of the %s %s", object, kind, key))
		}
	}
	return drift
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
