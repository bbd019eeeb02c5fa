// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// One who knows the deployment by its name alone rolls it back. Nothing changes of the Services but
// where their traffic goes, and nothing is drift to the configuration.
func TestClusterRollbackByNameKeepsTheServices(t *testing.T) {
	t.Parallel()
	h := newHarness(t, onNodePort, func(o *Options) {
		o.Service.Port = 80
		o.Service.Labels = map[string]string{"team": "shop"}
		o.Service.Annotations = map[string]string{"example.com/idle": "60"}
	})
	h.makeLive("1.0.0", 1)
	h.makeLive("2.0.0", 1)
	live, preview := h.service(), h.preview()

	byName := openHarness(t, h.client, Options{Namespace: h.Namespace, Name: h.Deployment, KeepsServices: true})
	h.must(byName.Rollback(t.Context(), "it lost orders"))
	h.requireServes("1.0.0")
	after := h.service()
	h.requireKept(live, after)
	h.requireKept(preview, h.preview())
	if after.Annotations["example.com/idle"] != "60" {
		t.Errorf("the annotations are %v", after.Annotations)
	}
	status, err := h.Status(t.Context())
	h.must(err)
	if len(status.Drift) > 0 {
		t.Errorf("it left drift: %v", status.Drift)
	}
	// What it wrote is still owned by this provider: an apply can remove it.
	h.platform.opts.Service.Labels = nil
	h.must(h.apply(withRetry(h.desired("2.0.0", 1), status.Ledger)))
	if labels := h.service().Labels; labels["team"] != "" {
		t.Errorf("the label that is not configured any more is there: %v", labels)
	}
}

func (h *harness) preview() *corev1.Service {
	h.Helper()
	service, err := h.api.Services(h.Namespace).Get(h.Context(), previewName(h.Deployment), metav1.GetOptions{})
	h.must(err)
	return service
}

// requireKept fails the test unless two states of a Service differ in the environment alone.
func (h *harness) requireKept(before, after *corev1.Service) {
	h.Helper()
	withoutEnvironment := func(s *corev1.Service) (corev1.ServiceSpec, map[string]string) {
		spec, labels := s.Spec.DeepCopy(), maps.Clone(s.Labels)
		delete(spec.Selector, labelEnvironment)
		delete(labels, labelEnvironment)
		return *spec, labels
	}
	wantSpec, wantLabels := withoutEnvironment(before)
	gotSpec, gotLabels := withoutEnvironment(after)
	if diff := cmp.Diff(wantSpec, gotSpec) + cmp.Diff(wantLabels, gotLabels); diff != "" {
		h.Errorf("%s has changed (-before +after):\n%s", before.Name, diff)
	}
}
