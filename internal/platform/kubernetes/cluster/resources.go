// SPDX-License-Identifier: MPL-2.0

package cluster

import (
	"errors"
	"net/http"
	"sync"

	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/gentype"
	"k8s.io/client-go/rest"
)

// resources are the clients for the kinds of objects that a deployment is made of.
//
// The typed client sets of client-go would do the same. But any one of them links all API
// groups, and makes this program larger by half. Terraform reads and hashes the program
// each time it runs.
type resources struct {
	// core is for the subresources of a pod.
	core rest.Interface

	Pods           kind[*corev1.Pod, *corev1.PodList]
	Services       kind[*corev1.Service, *corev1.ServiceList]
	Events         kind[*corev1.Event, *corev1.EventList]
	Deployments    kind[*appsv1.Deployment, *appsv1.DeploymentList]
	EndpointSlices kind[*discoveryv1.EndpointSlice, *discoveryv1.EndpointSliceList]
	Leases         kind[*coordinationv1.Lease, *coordinationv1.LeaseList]
}

// kind returns the client for the objects of one kind in a namespace.
type kind[T Object, L runtime.Object] func(namespace string) *gentype.ClientWithList[T, L]

// scheme has the types that the cluster and this program exchange.
var scheme = sync.OnceValue(func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	// The options of requests, and errors in answers, are of this version.
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	builder := runtime.NewSchemeBuilder(
		corev1.AddToScheme, appsv1.AddToScheme, coordinationv1.AddToScheme, discoveryv1.AddToScheme)
	// This fails only if two groups register the same type, and so at the first run or
	// never.
	utilruntime.Must(builder.AddToScheme(scheme))
	return scheme
})

// parameterCodec encodes the options of a request into its URL.
func parameterCodec() runtime.ParameterCodec { return runtime.NewParameterCodec(scheme()) }

// newResources returns the clients, which share one connection.
func newResources(config *rest.Config, connection *http.Client) (resources, error) {
	open := func(path string, group schema.GroupVersion) (rest.Interface, error) {
		config := rest.CopyConfig(config)
		config.APIPath, config.GroupVersion = path, &group
		codecs := rest.CodecFactoryForGeneratedClient(scheme(), serializer.NewCodecFactory(scheme()))
		config.NegotiatedSerializer = codecs.WithoutConversion()
		return rest.RESTClientForConfigAndClient(config, connection)
	}
	core, err1 := open("/api", corev1.SchemeGroupVersion)
	apps, err2 := open("/apis", appsv1.SchemeGroupVersion)
	coordination, err3 := open("/apis", coordinationv1.SchemeGroupVersion)
	discovery, err4 := open("/apis", discoveryv1.SchemeGroupVersion)
	return resources{
		core:        core,
		Pods:        kindOf[corev1.Pod, corev1.PodList](core, "pods"),
		Services:    kindOf[corev1.Service, corev1.ServiceList](core, "services"),
		Events:      kindOf[corev1.Event, corev1.EventList](core, "events"),
		Deployments: kindOf[appsv1.Deployment, appsv1.DeploymentList](apps, "deployments"),
		Leases:      kindOf[coordinationv1.Lease, coordinationv1.LeaseList](coordination, "leases"),
		EndpointSlices: kindOf[discoveryv1.EndpointSlice, discoveryv1.EndpointSliceList](
			discovery, "endpointslices"),
	}, errors.Join(err1, err2, err3, err4)
}

// kindOf returns the client for a resource of a group. Its objects are *T and its lists
// are *L. name is the plural in lower case.
func kindOf[T, L any, PT interface {
	*T
	Object
}, PL interface {
	*L
	runtime.Object
}](group rest.Interface, name string) kind[PT, PL] {
	codec := parameterCodec()
	return func(namespace string) *gentype.ClientWithList[PT, PL] {
		return gentype.NewClientWithList[PT, PL](name, group, codec, namespace,
			func() PT { return new(T) }, func() PL { return new(L) }, gentype.PrefersProtobuf[PT]())
	}
}
