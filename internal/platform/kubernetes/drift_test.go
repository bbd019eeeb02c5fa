// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The next refresh sees what was changed with kubectl, and the next apply repairs it.
func TestClusterDriftOfTheService(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	h.makeLive("2.0.0", 1)
	h.patchService(`{"spec":{"selector":{"terraform-provider-bluegreen/environment":"green"}}}`)
	h.requireServes("1.0.0")
	if running := h.running(); running[bluegreen.Blue] != 0 || running[bluegreen.Green] != 1 {
		t.Errorf("the status is %v, want nothing that counts in blue", running)
	}
	// An annotation that another program has set stays, and does not stop a commit.
	h.patchService(`{"metadata":{"annotations":{"team":"shop"}}}`)
	h.must(h.apply(h.desired("2.0.0", 1)))
	h.requireServes("2.0.0")
	if running := h.running(); running[bluegreen.Blue] != 1 {
		t.Errorf("the status is %v", running)
	}
	service, err := h.api.Services(h.Namespace).Get(t.Context(), h.Deployment, metav1.GetOptions{})
	h.must(err)
	if service.Annotations["team"] != "shop" {
		t.Error("the annotation of another program is gone")
	}
}

// A change of the type or of a port makes clients fail. A refresh sees it, and the next apply sets
// what was configured, and nothing else.
func TestClusterDriftOfTheRoute(t *testing.T) {
	t.Parallel()
	h := newHarness(t, onNodePort)
	h.makeLive("1.0.0", 1)
	read := func() *corev1.Service {
		t.Helper()
		service, err := h.api.Services(h.Namespace).Get(t.Context(), h.Deployment, metav1.GetOptions{})
		h.must(err)
		return service
	}
	before := read()
	for name, patch := range map[string]string{
		"a target": fmt.Sprintf(`{"spec":{"ports":[{"port":%d,"targetPort":9}]}}`, before.Spec.Ports[0].Port),
		"a type":   `{"spec":{"type":"ClusterIP"}}`,
		"a port":   `[{"op":"replace","path":"/spec/ports/0/port","value":9}]`,
	} {
		if strings.HasPrefix(patch, "[") {
			_, err := h.api.Services(h.Namespace).Patch(t.Context(), h.Deployment, types.JSONPatchType, []byte(patch),
				metav1.PatchOptions{})
			h.must(err)
		} else {
			h.patchService(patch)
		}
		if running := h.running(); running[bluegreen.Green] != 0 {
			t.Errorf("%s: the status is %v, want nothing that counts in green", name, running)
		}
		h.must(h.apply(h.desired("1.0.0", 1)))
		if running := h.running(); running[bluegreen.Green] != 1 {
			t.Errorf("%s: the status is %v after the repair", name, running)
		}
		after := read()
		if after.Spec.Type != before.Spec.Type ||
			!slices.ContainsFunc(after.Spec.Ports, func(p corev1.ServicePort) bool {
				return p.Port == before.Spec.Ports[0].Port && p.TargetPort == before.Spec.Ports[0].TargetPort
			}) {
			t.Errorf("%s: the Service is %v", name, after.Spec)
		}
	}
	h.requireServes("1.0.0")
}

// What kubectl changes of our labels, and of the preview, is seen by a refresh, and set again by the
// next apply. What other programs have added stays.
func TestClusterDriftOfLabelsAndThePreview(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(o *Options) {
		o.Service.Labels, o.Service.Annotations = map[string]string{"team": "shop"}, map[string]string{"docs": "here"}
	})
	h.makeLive("1.0.0", 1)
	h.makeLive("2.0.0", 1)
	services, preview := h.api.Services(h.Namespace), previewName(h.Deployment)
	patch := func(name, patch string) func() error {
		kind := types.MergePatchType
		if strings.HasPrefix(patch, "[") {
			kind = types.JSONPatchType
		}
		return func() error {
			byKubectl := metav1.PatchOptions{FieldManager: "kubectl"}
			_, err := services.Patch(t.Context(), name, kind, []byte(patch), byKubectl)
			return err
		}
	}
	for _, name := range []string{h.Deployment, preview} {
		h.must(patch(name, `{"metadata":{"labels":{"other":"label"},"annotations":{"other":"annotation"}}}`)())
	}
	if drift := h.drift(); len(drift) > 0 {
		t.Errorf("a label of another program is drift: %q", drift)
	}
	for want, change := range map[string]func() error{
		h.Deployment + " lacks the label app.kubernetes.io/name": patch(h.Deployment,
			`{"metadata":{"labels":{"app.kubernetes.io/name":null}}}`),
		h.Deployment + " lacks the label " + labelDeployment: patch(h.Deployment,
			`{"metadata":{"labels":{"`+labelDeployment+`":null}}}`),
		h.Deployment + " has another value of the label team": patch(h.Deployment,
			`{"metadata":{"labels":{"team":"x"}}}`),
		h.Deployment + " lacks the annotation docs": patch(h.Deployment,
			`{"metadata":{"annotations":{"docs":null}}}`),
		preview + " has another value of the label " + labelDeployment: patch(preview,
			`{"metadata":{"labels":{"`+labelDeployment+`":"x"}}}`),
		preview + " has another selector": patch(preview,
			`{"spec":{"selector":{"`+labelEnvironment+`":"blue"}}}`),
		preview + " has another type or port": patch(preview,
			`[{"op":"replace","path":"/spec/ports/0/port","value":9}]`),
		preview + " is missing": func() error {
			return services.Delete(t.Context(), preview, metav1.DeleteOptions{})
		},
	} {
		h.must(change())
		if drift := h.drift(); len(drift) != 1 || !strings.HasSuffix(drift[0], want) {
			t.Errorf("the drift is %q, want that %s", drift, want)
		}
		if running := h.running(); running[bluegreen.Blue] != 1 {
			t.Errorf("%s: %v run, and clients reach live", want, running)
		}
		h.must(h.apply(h.desired("2.0.0", 1)))
		if drift := h.drift(); len(drift) > 0 {
			t.Errorf("%s: after the repair the drift is %q", want, drift)
		}
	}
	service, err := services.Get(t.Context(), h.Deployment, metav1.GetOptions{})
	h.must(err)
	if service.Labels["other"] != "label" || service.Annotations["other"] != "annotation" {
		t.Error("the label or the annotation of another program is gone")
	}
	conformance := &conformanceHarness{testCluster: h.testCluster}
	if got := conformance.Serves(h, preview); got != "1.0.0" {
		t.Errorf("the preview answers with %q", got)
	}
	h.requireServes("2.0.0")
}

func TestClusterDriftOfADeployment(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	container := fmt.Sprintf(`{"name":%q,"image":"docker.io/library/nowhere:1"}`, h.Deployment)
	otherImage := `{"spec":{"containers":[` + container + `]}}`
	for name, patch := range map[string]string{
		"an image, paused": fmt.Sprintf(`{"spec":{"paused":true,"template":%s}}`, otherImage),
		"an image":         fmt.Sprintf(`{"spec":{"template":%s}}`, otherImage),
		"a size":           `{"spec":{"replicas":0}}`,
	} {
		h.patchDeployment(bluegreen.Green, patch)
		if running := h.running(); running[bluegreen.Green] != 0 {
			t.Errorf("%s: the status is %v, want nothing that counts in green", name, running)
		}
		unlock, err := h.platform.Lock(t.Context(), h.Actor)
		h.must(err)
		h.must(h.platform.Scale(t.Context(), bluegreen.Green, 1))
		h.must(h.platform.AwaitTraffic(t.Context(), bluegreen.Green))
		unlock()
		h.requireServes("1.0.0")
	}
}

// Deleting a Deployment without its pods does not interrupt live, and neither does the
// repair.
func TestClusterPodsWithoutTheirDeployment(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 2)
	clients := startClients(t, h.clusterAddress(), 2, 2)
	before := h.podsOf(bluegreen.Green)
	orphan := metav1.DeletePropagationOrphan
	h.must(h.api.Deployments(h.Namespace).Delete(t.Context(), workloadName(h.Deployment, bluegreen.Green),
		metav1.DeleteOptions{PropagationPolicy: &orphan}))
	h.must(h.apply(h.desired("1.0.0", 2)))
	for uid := range h.podsOf(bluegreen.Green) {
		if before[uid] == nil {
			t.Errorf("pod %s was not there before", uid)
		}
	}
	if running := h.running(); running[bluegreen.Green] != 2 {
		t.Errorf("the status is %v", running)
	}
	clients.awaitAnswer("1.0.0")
	clients.requireNoFailures()
}
