// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/watch"
)

// NewSource returns a source of the objects that a typed client lists and watches. name is
// what errors call them. items returns the objects in a list.
func NewSource[L metav1.ListInterface, T any, PT interface {
	*T
	Object
}](
	name string, list func(context.Context, metav1.ListOptions) (L, error), items func(L) []T,
	watch func(context.Context, metav1.ListOptions) (watch.Interface, error), options metav1.ListOptions,
) Source[PT] {
	return Source[PT]{Name: name, Options: options, Watch: watch, List: func(
		ctx context.Context, options metav1.ListOptions,
	) ([]PT, string, error) {
		found, err := list(ctx, options)
		if err != nil {
			return nil, "", err
		}
		listed := items(found)
		pointers := make([]PT, len(listed))
		for i := range listed {
			pointers[i] = &listed[i]
		}
		return pointers, found.GetResourceVersion(), nil
	}}
}

// WithName selects the object of this name.
func WithName(name string) metav1.ListOptions {
	return metav1.ListOptions{FieldSelector: fields.OneTermEqualSelector(metav1.ObjectNameField, name).String()}
}

// WithLabels selects the objects that have all of these labels.
func WithLabels(selector map[string]string) metav1.ListOptions {
	return metav1.ListOptions{LabelSelector: labels.SelectorFromSet(selector).String()}
}

func (a *API) deploymentSource(namespace, name string) Source[*appsv1.Deployment] {
	client := a.Deployments(namespace)
	items := func(found *appsv1.DeploymentList) []appsv1.Deployment { return found.Items }
	return NewSource("Deployment "+namespace+"/"+name, client.List, items, client.Watch, WithName(name))
}

func (a *API) podSource(namespace string, selector map[string]string) Source[*corev1.Pod] {
	client := a.Pods(namespace)
	items := func(found *corev1.PodList) []corev1.Pod { return found.Items }
	name := "the pods in namespace " + namespace + " with the labels " + labels.FormatLabels(selector)
	return NewSource(name, client.List, items, client.Watch, WithLabels(selector))
}

func (a *API) endpointSliceSource(namespace, service string) Source[*discoveryv1.EndpointSlice] {
	client := a.EndpointSlices(namespace)
	items := func(found *discoveryv1.EndpointSliceList) []discoveryv1.EndpointSlice { return found.Items }
	ofService := WithLabels(map[string]string{discoveryv1.LabelServiceName: service})
	name := "the EndpointSlices of Service " + namespace + "/" + service
	return NewSource(name, client.List, items, client.Watch, ofService)
}
