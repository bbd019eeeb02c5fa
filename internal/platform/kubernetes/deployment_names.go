// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// DeploymentNames returns the names of the deployments of a namespace, sorted.
func DeploymentNames(ctx context.Context, c *Client, namespace string) ([]string, error) {
	if err := validateNamespace(namespace); err != nil {
		return nil, err
	}
	api, err := c.API()
	if err != nil {
		return nil, err
	}
	services, err := api.Services(namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return nil, fmt.Errorf("listing Services: %w", err)
	}
	var names []string
	for _, service := range services.Items {
		// Also an adopted Service has one. One that has lost it has our label.
		if service.Annotations[annotationLedger] != "" || service.Labels[labelDeployment] == service.Name {
			names = append(names, service.Name)
		}
	}
	slices.Sort(names)
	return names, nil
}
