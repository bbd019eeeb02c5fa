// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// A deploy that could not see the cluster for a while does not switch to pods that the
// controllers may not know. Otherwise it does not wait for the controllers before the
// switch, but in it.
func TestClusterControllersThatAreBehind(t *testing.T) {
	t.Parallel()
	client, fault := newFaultyClient(t)
	s := newHarnessWithClient(t, client)
	s.makeLive("1.0.0", 1)
	s.Config.HealthCheckTimeout, s.Config.HealthCheckRetries = 5*time.Second, 0
	isInterrupted := true
	s.Progress = func(message string) {
		if !strings.HasPrefix(message, "checking the health") {
			return
		}
		s.hideFromPreview(bluegreen.Blue)
		op := s.platform.currentOperation()
		if isInterrupted {
			fault.breakWatches()
			s.must(op.Await(t.Context(), func() (bool, time.Duration, error) { return op.WasInterrupted(), 0, nil }))
		} else if op.WasInterrupted() {
			t.Error("the cluster could not be seen for a while, and nothing broke the watches")
		}
	}
	err := s.apply(s.desired("2.0.0", 1))
	const behind = "not among the endpoints of the preview"
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), behind) {
		t.Fatalf("got %v", err)
	}
	s.requireServes("1.0.0")
	isInterrupted = false
	s.must(s.apply(s.desired("2.0.0", 1)))
	s.requireServes("2.0.0")
}

// hideFromPreview returns when the pods of env are ready and the preview leads to none
// of them.
func (s *harness) hideFromPreview(env bluegreen.Environment) {
	s.Helper()
	const selectNothing = `{"spec":{"selector":{"nothing":"has-this"}}}`
	_, err := s.api.Services(s.Namespace).Patch(s.Context(), previewName(s.Deployment), types.MergePatchType,
		[]byte(selectNothing), metav1.PatchOptions{FieldManager: "kubectl"})
	s.must(err)
	session := s.session()
	pods := session.Pods(podLabels(s.Deployment, env.String()))
	endpointSlices := session.EndpointSlices(previewName(s.Deployment))
	s.must(session.Await(s.Context(), func() (bool, time.Duration, error) {
		found, err := endpointSlices.Items()
		if err != nil {
			return false, 0, err
		}
		ready, err := pods.Items()
		areReady := len(ready) > 0 && !slices.ContainsFunc(ready, isNotReady)
		return err == nil && len(readyEndpoints(found)) == 0 && areReady, 0, err
	}))
}
