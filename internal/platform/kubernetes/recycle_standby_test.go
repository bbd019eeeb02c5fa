// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// newStandbyHarness returns a deployment with a standby, and one that operates it through
// a faulty transport.
func newStandbyHarness(t *testing.T) (h, operator *harness, fault *faultyTransport) {
	t.Helper()
	client, fault := newFaultyClient(t)
	h = newHarness(t, func(o *Options) { o.RecycleStandby = true })
	h.makeLive("1.0.0", 1)
	h.makeLive("2.0.0", 1)
	return h, openHarness(t, client, h.platform.opts), fault
}

// A standby that could not be recycled when traffic left it is recycled with the next
// commit. The progress and an Event say so.
func TestClusterRecyclingThatWasLostIsRepeated(t *testing.T) {
	t.Parallel()
	h, operator, fault := newStandbyHarness(t)
	var messages []string
	operator.Progress = func(message string) { messages = append(messages, message) }
	fault.intercept(true, func(r *http.Request) bool {
		path := "/deployments/" + workloadName(h.Deployment, bluegreen.Blue)
		return r.Method == http.MethodPatch && strings.HasSuffix(r.URL.Path, path)
	})
	h.must(operator.Rollback(t.Context(), "to see"))
	fault.restore()
	h.requireServes("1.0.0")
	saysSo := func(message string) bool { return strings.Contains(message, "recycling the standby") }
	if !slices.ContainsFunc(messages, saysSo) {
		t.Errorf("the progress does not say what was not done: %q", messages)
	}
	h.requireEvents("RolledBack", "Incomplete")

	want := h.desired("2.0.0", 1)
	want.Rollback = true
	h.must(h.apply(want))
	ledger, err := h.platform.Load(t.Context())
	h.must(err)
	live, _ := ledger.LiveRecord()
	if got := h.deployment(bluegreen.Blue).Spec.Template.Annotations[annotationRecycled]; got != live.ID {
		t.Errorf("the standby was recycled for %q, want %q", got, live.ID)
	}
}

// A standby that cannot be changed stops nothing that live needs.
func TestClusterStandbyThatCannotBeChanged(t *testing.T) {
	t.Parallel()
	h, operator, fault := newStandbyHarness(t)
	fault.intercept(true, func(r *http.Request) bool {
		path := "/deployments/" + workloadName(h.Deployment, bluegreen.Green)
		return r.Method != http.MethodGet && strings.Contains(r.URL.Path, path)
	})
	err := operator.Scale(t.Context(), 2)
	fault.restore()
	if err == nil || !strings.Contains(err.Error(), "scale of green") {
		t.Errorf("the standby is said to have followed: %v", err)
	}
	status, err := h.Status(t.Context())
	h.must(err)
	if live := status.Ledger.Slot(bluegreen.Blue).Release; live.Replicas != 2 || status.Running[bluegreen.Blue] != 2 {
		t.Errorf("of %d replicas %d run", live.Replicas, status.Running[bluegreen.Blue])
	}
	h.requireServes("2.0.0")
}
