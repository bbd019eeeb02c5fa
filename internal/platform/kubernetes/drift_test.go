// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

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
