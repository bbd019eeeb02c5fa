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
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// A deploy that could not see the cluster for a while waits for the controllers before the
// switch: it does not switch to pods that the controllers may not know. Any other deploy
// waits for them after the switch.
func TestClusterControllersThatAreBehind(t *testing.T) {
	t.Parallel()
	client, fault := newFaultyClient(t)
	h := newHarnessWithClient(t, client)
	h.makeLive("1.0.0", 1)
	h.Config.HealthCheckTimeout, h.Config.HealthCheckRetries = 5*time.Second, 0
	breaksWatches := true
	h.Progress = func(message string) {
		if !strings.HasPrefix(message, "checking the health") {
			return
		}
		h.hideFromPreview(bluegreen.Blue)
		run := h.platform.currentRun()
		if breaksWatches {
			fault.breakWatches()
			h.must(run.Await(t.Context(), func() (bool, time.Duration, error) { return run.HasMissedEvents(), 0, nil }))
		} else if run.HasMissedEvents() {
			t.Error("the cluster could not be seen for a while, and nothing broke the watches")
		}
	}
	err := h.apply(h.desired("2.0.0", 1))
	const behind = "not among the endpoints of the preview"
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), behind) {
		t.Fatalf("got %v", err)
	}
	h.requireServes("1.0.0")
	breaksWatches = false
	h.must(h.apply(h.desired("2.0.0", 1)))
	h.requireServes("2.0.0")
}

// hideFromPreview returns when the pods of env are ready and the preview leads to none
// of them.
func (h *harness) hideFromPreview(env bluegreen.Environment) {
	h.Helper()
	const selectNothing = `{"spec":{"selector":{"nothing":"has-this"}}}`
	_, err := h.api.Services(h.Namespace).Patch(h.Context(), previewName(h.Deployment), types.MergePatchType,
		[]byte(selectNothing), metav1.PatchOptions{FieldManager: "kubectl"})
	h.must(err)
	session := h.session()
	pods := session.Pods(podLabels(h.Deployment, env.String()))
	endpointSlices := session.EndpointSlices(previewName(h.Deployment))
	h.must(session.Await(h.Context(), func() (bool, time.Duration, error) {
		found, err := endpointSlices.Items()
		if err != nil {
			return false, 0, err
		}
		ready, err := pods.Items()
		areReady := len(ready) > 0 && !slices.ContainsFunc(ready, isNotReady)
		return err == nil && len(readyEndpoints(found)) == 0 && areReady, 0, err
	}))
}

// With the check "ready" nothing connects to the pods: what their own readiness probe finds is
// enough, and counts in both directions.
func TestClusterReadinessIsEnough(t *testing.T) {
	t.Parallel()
	probing := func(command string) func(*Options) {
		return func(o *Options) {
			// Nobody listens here.
			o.Port = 81
			o.PodTemplate = `{"spec": {"containers": [{"name": "` + o.Name + `", "readinessProbe": ` +
				`{"periodSeconds": 1, "exec": {"command": ["` + command + `"]}}}]}}`
		}
	}
	h := newHarness(t, probing("true"))
	checker, err := health.New(health.Config{Ready: &health.Ready{}})
	h.must(err)
	h.Checker = checker
	h.makeLive("1.0.0", 1)

	options := h.platform.opts
	probing("false")(&options)
	sick := openHarness(t, sharedCluster.client, options)
	sick.Checker, sick.Config.HealthCheckTimeout, sick.Config.HealthCheckRetries = checker, 5*time.Second, 0
	err = sick.apply(sick.desired("2.0.0", 1))
	if !errors.Is(err, bluegreen.HealthCheckFailed) || !strings.Contains(err.Error(), "ready") {
		t.Errorf("a pod that is not ready: %v", err)
	}
	ledger, err := h.platform.Load(t.Context())
	h.must(err)
	if live, _ := ledger.LiveRecord(); live.Version != "1.0.0" {
		t.Errorf("%s is live", live.Version)
	}
}
