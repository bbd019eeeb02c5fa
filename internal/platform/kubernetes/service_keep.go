// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	corev1 "k8s.io/api/core/v1"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// keepLiveService returns want with the settings that the last commit gave to the live Service,
// which is found: its type, its ports, its labels and its annotations. Only the selector and what
// is stored in annotations is that of want. It also returns the Service as it is now.
func (p *Platform) keepLiveService(
	ctx context.Context, run *lockedRun, want serviceApply, found *corev1.Service,
) (serviceApply, *corev1.Service, error) {
	if found == nil {
		return want, nil, errors.New("the Service is missing, and only an apply of the deployment can create it again")
	}
	found, err := p.ownCreatedFields(ctx, run, found)
	if err != nil {
		return want, nil, err
	}
	owned, err := ownedFields(found)
	if err != nil {
		return want, nil, err
	}
	recorded, hasRecord, err := recordedRoute(found)
	if err != nil {
		return want, nil, err
	}
	if !hasRecord {
		recorded = route{owned.Spec.Type, owned.Spec.Ports}
	}
	if len(recorded.Ports) == 0 {
		return want, nil, errors.New("another program has set its port, and only an apply of the deployment knows it")
	}
	want.Spec.Type, want.Spec.Ports = recorded.Type, recorded.Ports
	maps.DeleteFunc(owned.Metadata.Annotations, func(name, _ string) bool { return isStored(name) })
	want.Metadata.Annotations = mergeMaps(owned.Metadata.Annotations, want.Metadata.Annotations)
	want.Metadata.Labels = mergeMaps(owned.Metadata.Labels, want.Metadata.Labels)
	return want, found, nil
}

// ownedFields returns what the applies of this provider have set on a Service.
func ownedFields(service *corev1.Service) (serviceApply, error) {
	extracted, err := applycorev1.ExtractService(service, cluster.FieldManager)
	if err != nil {
		return serviceApply{}, fmt.Errorf("finding the fields that this provider owns: %w", err)
	}
	encoded, err := json.Marshal(extracted)
	if err != nil {
		return serviceApply{}, err
	}
	var owned serviceApply
	err = json.Unmarshal(encoded, &owned)
	return owned, err
}
