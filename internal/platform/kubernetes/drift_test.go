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
