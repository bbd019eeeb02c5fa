// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A setting of the Service that is not configured any more is removed, even if the first
// write has made it.
func TestClusterServiceLosesWhatIsNotConfigured(t *testing.T) {
	t.Parallel()
	const key = "example.com/team"
	h := newHarness(t, func(o *Options) {
		o.Service.Labels, o.Service.Annotations = map[string]string{key: "web"}, map[string]string{key: "web"}
	})
	h.makeLive("1.0.0", 1)
	h.patchService(`{"metadata":{"labels":{"example.com/other":"kept"}}}`)
	options := h.platform.opts
	options.Service.Labels, options.Service.Annotations, options.Service.Port = nil, nil, 8099
	changed := openHarness(t, sharedCluster.client, options)
	changed.makeLive("2.0.0", 1)
	service, err := h.api.Services(h.Namespace).Get(t.Context(), h.Deployment, metav1.GetOptions{})
	h.must(err)
	if service.Labels[key] != "" || service.Annotations[key] != "" {
		t.Errorf("the Service keeps labels %v and annotations %v", service.Labels, service.Annotations)
	}
	if service.Labels["example.com/other"] != "kept" {
		t.Errorf("the label that another program has set is lost: %v", service.Labels)
	}
	if len(service.Spec.Ports) != 1 || service.Spec.Ports[0].Port != 8099 {
		t.Errorf("the Service has the ports %v", service.Spec.Ports)
	}
}
