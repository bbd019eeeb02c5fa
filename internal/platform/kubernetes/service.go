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

// serviceApply is the whole of what we want a Service to be, for a server-side apply.
type serviceApply struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        objectMeta  `json:"metadata"`
	Spec            serviceSpec `json:"spec"`
}

// objectMeta is metav1.ObjectMeta without what an apply must not mention.
type objectMeta struct {
	Name        string            `json:"name"`
	Namespace   string            `json:"namespace"`
	Labels      map[string]string `json:"labels,omitempty"`
	Annotations map[string]string `json:"annotations,omitempty"`
	// UID and ResourceVersion make an apply fail with a conflict unless they are
	// those of the object: with the UID, also where there is none.
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

func (p *Platform) liveService(w workload, selector, annotations map[string]string, resourceVersion string) serviceApply {
	meta := objectMeta{
		Name: p.opts.Name, Namespace: p.opts.Namespace, ResourceVersion: resourceVersion,
		Labels: merged(p.opts.Service.Labels, objectLabels(p.opts.Name)), Annotations: merged(p.opts.Service.Annotations, annotations),
	}
	port := p.servicePort(w)
	port.NodePort = p.opts.Service.NodePort
	return serviceApply{serviceKind, meta, serviceSpec{p.opts.Service.Type, selector, []servicePort{port}}}
}

func (p *Platform) previewService(staging workload) serviceApply {
	meta := objectMeta{Name: previewName(p.opts.Name), Namespace: p.opts.Namespace, Labels: objectLabels(p.opts.Name)}
	meta.Labels[labelEnvironment] = staging.environment.String()
	return serviceApply{serviceKind, meta, serviceSpec{Selector: staging.selector, Ports: []servicePort{p.servicePort(staging)}}}
}

func (p *Platform) servicePort(w workload) servicePort {
	return servicePort{Port: p.clientPort(), TargetPort: w.port, Protocol: corev1.ProtocolTCP}
}

// clientPort is the one at which clients reach the Services: where the options do
// not say, as after an import, the one that the Service has.
func (p *Platform) clientPort() int {
	port := cmp.Or(p.opts.Service.Port, p.opts.Port)
	if service := p.remembered().service; port == 0 && service != nil && len(service.Spec.Ports) > 0 {
		return int(service.Spec.Ports[0].Port)
	}
	return port
}

var serviceKind = metav1.TypeMeta{Kind: "Service", APIVersion: "v1"}

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }
