// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// The next refresh sees what somebody changed with kubectl, and the next apply repairs it.
func TestClusterDriftOfTheService(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	s.makeLive("1.0.0", 1)
	s.makeLive("2.0.0", 1)
	s.patchService(`{"spec":{"selector":{"terraform-provider-bluegreen/environment":"green"}}}`)
	s.requireServes("1.0.0")
	if running := s.running(); running[bluegreen.Blue] != 0 || running[bluegreen.Green] != 1 {
		t.Errorf("the status is %v, want nothing that counts in blue", running)
	}
	// The annotation of somebody else stays, and does not stop a commit.
	s.patchService(`{"metadata":{"annotations":{"team":"shop"}}}`)
	s.must(s.apply(s.desired("2.0.0", 1)))
	s.requireServes("2.0.0")
	if running := s.running(); running[bluegreen.Blue] != 1 {
		t.Errorf("the status is %v", running)
	}
	service, err := s.api.Services(s.Namespace).Get(t.Context(), s.Deployment, metav1.GetOptions{})
	s.must(err)
	if service.Annotations["team"] != "shop" {
		t.Error("the annotation of somebody else is gone")
	}
}

func TestClusterDriftOfADeployment(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	s.makeLive("1.0.0", 1)
	container := fmt.Sprintf(`{"name":%q,"image":"docker.io/library/nowhere:1"}`, s.Deployment)
	otherImage := `{"spec":{"containers":[` + container + `]}}`
	for name, patch := range map[string]string{
		"an image, paused": fmt.Sprintf(`{"spec":{"paused":true,"template":%s}}`, otherImage),
		"an image":         fmt.Sprintf(`{"spec":{"template":%s}}`, otherImage),
		"a size":           `{"spec":{"replicas":0}}`,
	} {
		s.patchDeployment(bluegreen.Green, patch)
		if running := s.running(); running[bluegreen.Green] != 0 {
			t.Errorf("%s: the status is %v, want nothing that counts in green", name, running)
		}
		unlock, err := s.platform.Lock(t.Context(), s.Actor)
		s.must(err)
		s.must(s.platform.Scale(t.Context(), bluegreen.Green, 1))
		s.must(s.platform.AwaitTraffic(t.Context(), bluegreen.Green))
		unlock()
		s.requireServes("1.0.0")
	}
}

// Deleting a Deployment without its pods does not interrupt live, and neither does the
// repair.
func TestClusterPodsWithoutTheirDeployment(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	s.makeLive("1.0.0", 2)
	clients := startClients(t, s.clusterAddress(), 2, 2)
	before := s.podsOf(bluegreen.Green)
	orphan := metav1.DeletePropagationOrphan
	s.must(s.api.Deployments(s.Namespace).Delete(t.Context(), workloadName(s.Deployment, bluegreen.Green),
		metav1.DeleteOptions{PropagationPolicy: &orphan}))
	s.must(s.apply(s.desired("1.0.0", 2)))
	for uid := range s.podsOf(bluegreen.Green) {
		if before[uid] == nil {
			t.Errorf("pod %s was not there before", uid)
		}
	}
	if running := s.running(); running[bluegreen.Green] != 2 {
		t.Errorf("the status is %v", running)
	}
	clients.awaitAnswer("1.0.0")
	clients.requireNoFailures()
}
