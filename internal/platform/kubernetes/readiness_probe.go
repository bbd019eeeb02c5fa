// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"cmp"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// readinessProbe returns the probe by which the kubelet takes a pod out of the traffic
// and puts it back. The probe does what the health check of the configuration does. A
// container has one readiness probe. So if there are several checks, only the first of
// http, grpc, exec and tcp is used.
//
// The probe only connects to the port if the kubelet cannot make the check. These are
// checks that accept other status codes than the kubelet, and gRPC over TLS.
//
// The probe is not part of a release's identity. Another health check takes effect with
// the next deploy.
func (o Options) readinessProbe() *corev1.Probe {
	probe := tcpReadinessProbe(o.Port)
	checks := o.HealthCheck
	if checks == nil {
		return probe
	}
	if checks.Interval > 0 {
		probe.PeriodSeconds = wholeSeconds(checks.Interval)
	}
	if checks.ProbeTimeout > 0 {
		probe.TimeoutSeconds = wholeSeconds(checks.ProbeTimeout)
	}
	probe.SuccessThreshold = cmp.Or(int32(checks.HealthyThreshold), probe.SuccessThreshold)
	probe.FailureThreshold = cmp.Or(int32(o.UnhealthyThreshold), probe.FailureThreshold)
	http := checks.HTTP
	if http == nil && checks.TCP == nil && checks.GRPC == nil && checks.Exec == nil && checks.Ready == nil {
		http = &health.HTTP{}
	}
	switch {
	case http != nil && http.IsSuccessOnly():
		probe.ProbeHandler = corev1.ProbeHandler{HTTPGet: o.httpGet(*http)}
	case http != nil:
		probe.TCPSocket.Port = o.probedPort(http.Port)
	case checks.GRPC != nil && !checks.GRPC.TLS:
		service := checks.GRPC.Service
		port := o.probedPort(checks.GRPC.Port)
		probe.ProbeHandler = corev1.ProbeHandler{GRPC: &corev1.GRPCAction{Port: port.IntVal, Service: &service}}
	case checks.GRPC != nil:
		probe.TCPSocket.Port = o.probedPort(checks.GRPC.Port)
	case checks.Exec != nil:
		probe.ProbeHandler = corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: checks.Exec.Command}}
	case checks.TCP != nil:
		probe.TCPSocket.Port = o.probedPort(checks.TCP.Port)
	}
	return probe
}

// httpGet returns the request of an HTTP check. The values of its headers are in the
// Deployment, like those of the release's environment variables.
func (o Options) httpGet(check health.HTTP) *corev1.HTTPGetAction {
	action := &corev1.HTTPGetAction{
		Path: check.Path, Port: o.probedPort(check.Port), Scheme: corev1.URISchemeHTTP,
		HTTPHeaders: []corev1.HTTPHeader{{Name: "Host", Value: health.DefaultHTTPHost}},
	}
	if check.Path == "" {
		action.Path = health.DefaultHTTPPath
	}
	if check.Scheme == "https" {
		action.Scheme = corev1.URISchemeHTTPS
	}
	if check.Host != "" {
		action.HTTPHeaders[0].Value = check.Host
	}
	for _, name := range slices.Sorted(maps.Keys(check.Headers)) {
		action.HTTPHeaders = append(action.HTTPHeaders, corev1.HTTPHeader{Name: name, Value: check.Headers[name]})
	}
	return action
}

// probedPort returns the port of a check. 0 stands for the port that the pods serve.
func (o Options) probedPort(port int) intstr.IntOrString {
	if port == 0 {
		port = o.Port
	}
	return intstr.FromInt(port)
}

// wholeSeconds rounds d up.
func wholeSeconds(d time.Duration) int32 { return int32((d + time.Second - 1) / time.Second) }

// tcpReadinessProbe makes a pod ready once it accepts connections. Without a probe the
// pod would get traffic as soon as its process exists. The timeout is long: a port
// without a listener refuses at once, and a busy node must not take the traffic from
// all of its pods.
func tcpReadinessProbe(port int) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler:  corev1.ProbeHandler{TCPSocket: &corev1.TCPSocketAction{Port: intstr.FromInt(port)}},
		PeriodSeconds: 1, TimeoutSeconds: 5, SuccessThreshold: 1, FailureThreshold: 3,
	}
}
