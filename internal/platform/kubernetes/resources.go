// SPDX-License-Identifier: MPL-2.0

package kubernetes

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

// resources are the kinds of objects that a deployment is made of.
//
// client-go's sets of clients for each API group would do the same. But any of
// them brings along all groups there are, and with them a third of this program,
// which Terraform reads and hashes each time somebody calls it.
type resources struct {
	// core is for what is asked of a pod other than the object.
	core rest.Interface

	pods           kind[*corev1.Pod, *corev1.PodList]
	services       kind[*corev1.Service, *corev1.ServiceList]
	events         kind[*corev1.Event, *corev1.EventList]
	deployments    kind[*appsv1.Deployment, *appsv1.DeploymentList]
	leases         kind[*coordinationv1.Lease, *coordinationv1.LeaseList]
	endpointSlices kind[*discoveryv1.EndpointSlice, *discoveryv1.EndpointSliceList]
}

// kind returns the client for the objects of one kind in a namespace.
type kind[T object, L runtime.Object] func(namespace string) *gentype.ClientWithList[T, L]

// knownTypes are the types that the cluster and this program exchange.
var knownTypes = sync.OnceValue(func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	// What the options of a request, and an answer that is an error, are made of.
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	builder := runtime.NewSchemeBuilder(corev1.AddToScheme, appsv1.AddToScheme, coordinationv1.AddToScheme, discoveryv1.AddToScheme)
	// It fails where two of them have the same type, always or never.
	utilruntime.Must(builder.AddToScheme(scheme))
	return scheme
})

// parameters writes the options of a request into its URL.
func parameters() runtime.ParameterCodec { return runtime.NewParameterCodec(knownTypes()) }

func newResources(config *rest.Config, connection *http.Client) (resources, error) {
	open := func(path string, group schema.GroupVersion) (rest.Interface, error) {
		config := rest.CopyConfig(config)
		config.APIPath, config.GroupVersion = path, &group
		config.NegotiatedSerializer = rest.CodecFactoryForGeneratedClient(knownTypes(), serializer.NewCodecFactory(knownTypes())).WithoutConversion()
		return rest.RESTClientForConfigAndClient(config, connection)
	}
	core, err1 := open("/api", corev1.SchemeGroupVersion)
	apps, err2 := open("/apis", appsv1.SchemeGroupVersion)
	coordination, err3 := open("/apis", coordinationv1.SchemeGroupVersion)
	discovery, err4 := open("/apis", discoveryv1.SchemeGroupVersion)
	return resources{
		core:           core,
		pods:           kindOf[corev1.Pod, corev1.PodList](core, "pods"),
		services:       kindOf[corev1.Service, corev1.ServiceList](core, "services"),
		events:         kindOf[corev1.Event, corev1.EventList](core, "events"),
		deployments:    kindOf[appsv1.Deployment, appsv1.DeploymentList](apps, "deployments"),
		leases:         kindOf[coordinationv1.Lease, coordinationv1.LeaseList](coordination, "leases"),
		endpointSlices: kindOf[discoveryv1.EndpointSlice, discoveryv1.EndpointSliceList](discovery, "endpointslices"),
	}, errors.Join(err1, err2, err3, err4)
}

// kindOf is the kind that the API calls name, whose objects are *T and whose lists are *L.
func kindOf[T, L any, PT interface {
	*T
	object
}, PL interface {
	*L
	runtime.Object
}](group rest.Interface, name string) kind[PT, PL] {
	codec := parameters()
	return func(namespace string) *gentype.ClientWithList[PT, PL] {
		return gentype.NewClientWithList[PT, PL](name, group, codec, namespace,
			func() PT { return new(T) }, func() PL { return new(L) }, gentype.PrefersProtobuf[PT]())
	}
}
