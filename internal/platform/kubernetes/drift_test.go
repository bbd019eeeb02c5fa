// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// What somebody changes with kubectl is seen by the next refresh, and gone after
// the next apply.
func TestClusterDriftOfTheService(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
	s.live("2.0.0", 1)
	s.patchService(`{"spec":{"selector":{"terraform-provider-bluegreen/environment":"green"}}}`)
	s.serves("1.0.0")
	if running := s.running(); running[bluegreen.Blue] != 0 || running[bluegreen.Green] != 1 {
		t.Errorf("the status is %v, want nothing that counts in blue", running)
	}
	// Somebody else's annotation stays, and does not hold a commit up.
	s.patchService(`{"metadata":{"annotations":{"team":"shop"}}}`)
	s.must(s.apply(s.desired("2.0.0", 1)))
	s.serves("2.0.0")
	if running := s.running(); running[bluegreen.Blue] != 1 {
		t.Errorf("the status is %v", running)
	}
	service, err := s.api.services(s.namespace).Get(t.Context(), s.Deployment, metav1.GetOptions{})
	s.must(err)
	if service.Annotations["team"] != "shop" {
		t.Error("what others said of the Service is gone")
	}
}

func TestClusterDriftOfADeployment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
	for name, patch := range map[string]string{
		"an image, in a pause": `{"spec":{"paused":true,"template":{"spec":{"containers":[{"name":"` + s.Deployment + `","image":"docker.io/library/nowhere:1"}]}}}}`,
		"an image":             fmt.Sprintf(`{"spec":{"template":{"spec":{"containers":[{"name":%q,"image":"docker.io/library/nowhere:1"}]}}}}`, s.Deployment),
		"a size":               `{"spec":{"replicas":0}}`,
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
		s.serves("1.0.0")
	}
}

// Whoever removes a Deployment and leaves its pods leaves live as it is, and so
// does the repair.
func TestClusterPodsWithoutTheirDeployment(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 2)
	clients := gather(t, s.clusterAddress(), 2, 2)
	before := s.podsOf(bluegreen.Green)
	orphan := metav1.DeletePropagationOrphan
	s.must(s.api.deployments(s.namespace).Delete(t.Context(), workloadName(s.Deployment, bluegreen.Green), metav1.DeleteOptions{PropagationPolicy: &orphan}))
	s.must(s.apply(s.desired("1.0.0", 2)))
	for uid := range s.podsOf(bluegreen.Green) {
		if before[uid] == nil {
			t.Errorf("pod %s was not there before", uid)
		}
	}
	if running := s.running(); running[bluegreen.Green] != 2 {
		t.Errorf("the status is %v", running)
	}
	clients.hears("1.0.0")
	clients.content()
}

// running is what a refresh counts.
func (s *shop) running() map[bluegreen.Environment]int {
	s.Helper()
	status, err := s.Status(s.Context())
	s.must(err)
	return status.Running
}

func (s *shop) patchService(patch string) {
	s.Helper()
	_, err := s.api.services(s.namespace).Patch(s.Context(), s.Deployment, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl"})
	s.must(err)
}

func (s *shop) patchDeployment(env bluegreen.Environment, patch string) {
	s.Helper()
	_, err := s.api.deployments(s.namespace).Patch(s.Context(), workloadName(s.Deployment, env), types.StrategicMergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "kubectl"})
	s.must(err)
}
