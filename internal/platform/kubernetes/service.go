// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"net"
	"strconv"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// serviceApply is the body of a server-side apply. It has every field of a Service that
// this provider sets.
type serviceApply struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        objectMeta  `json:"metadata"`
	Spec            serviceSpec `json:"spec"`
}

// objectMeta is metav1.ObjectMeta without the fields that an apply must not mention.
type objectMeta struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// UID and ResourceVersion make an apply fail with a conflict unless the object has
	// the same ones. With a UID it also fails if there is no object.
	UID             types.UID `json:"uid,omitempty"`
	ResourceVersion string    `json:"resourceVersion,omitempty"`
}

type serviceSpec struct {
	Type     string            `json:"type,omitempty"`
	Selector map[string]string `json:"selector"`
	Ports    []servicePort     `json:"ports"`
}

type servicePort struct {
	Port       int                `json:"port"`
	TargetPort intstr.IntOrString `json:"targetPort"`
	Protocol   corev1.Protocol    `json:"protocol"`
	NodePort   int                `json:"nodePort,omitempty"`
}

var serviceKind = metav1.TypeMeta{Kind: "Service", APIVersion: "v1"}

// liveService returns the Service that clients use, with w behind it.
func (p *Platform) liveService(w workload, selector, annotations map[string]string) serviceApply {
	meta := objectMeta{
		Name: p.opts.Name, Namespace: p.opts.Namespace,
		Labels:      p.liveLabels(),
		Annotations: mergeMaps(p.opts.Service.Annotations, annotations),
	}
	port := p.servicePort(w)
	port.NodePort = p.opts.Service.NodePort
	return serviceApply{serviceKind, meta, serviceSpec{p.opts.Service.Type, selector, []servicePort{port}}}
}

// liveLabels returns the labels that this provider sets on the live Service.
func (p *Platform) liveLabels() map[string]string {
	return mergeMaps(p.opts.Service.Labels, objectLabels(p.opts.Name))
}

func (p *Platform) servicePort(w workload) servicePort {
	return servicePort{Port: p.clientPort(), TargetPort: w.port, Protocol: corev1.ProtocolTCP}
}

// clientPort returns the port at which clients reach the Services. If the options do not
// set it, as after an import, it is the port that the Service has.
func (p *Platform) clientPort() int {
	port := cmp.Or(p.opts.Service.Port, p.opts.Port)
	if service := p.lastSnapshot().service; port == 0 && service != nil && len(service.Spec.Ports) > 0 {
		return int(service.Spec.Ports[0].Port)
	}
	return port
}

// endpoint returns the address at which clients reach the live environment. It is the
// address of the load balancer if there is one, and the name of the Service in the
// cluster otherwise.
func (p *Platform) endpoint(service *corev1.Service) string {
	for _, balancer := range service.Status.LoadBalancer.Ingress {
		if host := cmp.Or(balancer.Hostname, balancer.IP); host != "" {
			return hostPort(host, p.clientPort())
		}
	}
	return p.serviceAddress(p.opts.Name)
}

// Endpoint returns the address at which clients will reach the live environment, "" if a load
// balancer is going to have it.
func (o Options) Endpoint() string {
	if o.Service.Type == string(corev1.ServiceTypeLoadBalancer) {
		return ""
	}
	return serviceAddress(o.Name, o.Namespace, cmp.Or(o.Service.Port, o.Port))
}

// PreviewEndpoint is Endpoint of the staging environment.
func (o Options) PreviewEndpoint() string {
	return serviceAddress(previewName(o.Name), o.Namespace, cmp.Or(o.Service.Port, o.Port))
}

func (p *Platform) serviceAddress(service string) string {
	return serviceAddress(service, p.opts.Namespace, p.clientPort())
}

// serviceAddress returns the address of a Service in the cluster.
func serviceAddress(service, namespace string, port int) string {
	return hostPort(service+"."+namespace+".svc", port)
}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
