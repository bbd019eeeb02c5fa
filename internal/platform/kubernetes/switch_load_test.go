// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"flag"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// No client notices a switch forward, back and forward again.
func TestClusterSwitchLosesNoRequest(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(o *Options) { o.DrainTimeout, o.RecycleStandby = 30*time.Second, true })
	h.makeLive("1.0.0", 2)
	clients := startClients(t, h.clusterAddress(), 4, 4)
	clients.awaitAnswer("1.0.0")
	h.makeLive("2.0.0", 2)
	clients.awaitAnswer("2.0.0")
	h.must(h.Rollback(t.Context(), "to see"))
	clients.awaitAnswer("1.0.0")
	h.must(h.DeployAndSwitch(t.Context(), h.release("2.0.0", 2)))
	clients.awaitAnswer("2.0.0")
	clients.requireNoFailures()
}

var switches = flag.Int("switches", 30, "how many times TestClusterSwitchesUnderLoad switches")

// No client notices one switch after the other.
func TestClusterSwitchesUnderLoad(t *testing.T) {
	t.Parallel()
	h := newHarness(t, onNodePort)
	h.makeLive("1.0.0", 2)
	h.makeLive("2.0.0", 2)
	clients := startClients(t, h.nodePort(), 4, 4)
	clients.awaitAnswer("2.0.0")
	for range *switches / 2 {
		h.must(h.Rollback(t.Context(), "to see"))
		h.must(h.DeployAndSwitch(t.Context(), h.release("2.0.0", 2)))
	}
	clients.requireNoFailures()
}

// The health check of a release that comes back looks at the new pods, not at those of
// the standby that are being replaced.
func TestClusterReleaseComesBackWhileItsPodsAreReplaced(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(o *Options) { o.RecycleStandby = true })
	h.makeLive("1.0.0", 3)
	h.makeLive("2.0.0", 3)
	h.must(h.Rollback(t.Context(), "to see"))
	checked := 0
	h.Progress = func(message string) {
		if !strings.HasPrefix(message, "checking") {
			return
		}
		checked++
		found := h.deployment(bluegreen.Blue)
		isSettled := found.Status.ObservedGeneration >= found.Generation
		if !isSettled || found.Status.UpdatedReplicas != 3 || found.Status.Replicas != 3 {
			t.Errorf("pods are checked that are about to go: %+v", found.Status)
		}
	}
	h.makeLive("2.0.0", 3)
	if checked != 1 {
		t.Errorf("it was checked %d times, want once", checked)
	}
}

// A standby whose pods cannot be replaced stops nothing: live gets its size, and the
// release that was rolled back is deployed again.
func TestClusterStandbyThatIsNeverComplete(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(o *Options) { o.RecycleStandby = true })
	h.makeLive("1.0.0", 1)
	h.makeLive("2.0.0", 1)
	h.patchDeployment(bluegreen.Blue, `{"spec":{"minReadySeconds":3600,"progressDeadlineSeconds":7200}}`)
	h.must(h.Rollback(t.Context(), "to see"))
	if err := h.Scale(t.Context(), 2); err == nil || !strings.Contains(err.Error(), "scale of blue") {
		t.Errorf("the standby is said to have followed: %v", err)
	}
	if status, err := h.Status(t.Context()); err != nil || status.Running[bluegreen.Green] != 2 {
		t.Errorf("%d replicas of live run, %v", status.Running[bluegreen.Green], err)
	}
	again := h.desired("2.0.0", 2)
	again.Retry = "deploy-2"
	h.must(h.apply(again))
	h.requireServes("2.0.0")
}

// Clients that keep their connections leave the old version with its pods: all of these
// are replaced, the standby is complete all the time, and a rollback finds it.
func TestClusterKeepAliveClientsLeaveTheOldVersion(t *testing.T) {
	t.Parallel()
	const drain = 5 * time.Second
	h := newHarness(t, onNodePort, func(o *Options) { o.DrainTimeout, o.RecycleStandby = drain, true })
	h.makeLive("1.0.0", 2)
	clients := startClients(t, h.nodePort(), 0, 6)
	clients.awaitAnswer("1.0.0")
	former := h.podsOf(bluegreen.Green)
	started := time.Now()
	h.makeLive("2.0.0", 2)
	slowest := time.Since(started)
	switched := time.Now()
	wasComplete, gone := h.awaitRecycled(bluegreen.Green, former, 2)
	if !wasComplete {
		t.Error("the standby was not complete all the time")
	}
	clients.awaitAnswer("2.0.0")
	clients.requireNoFailures()
	stayed := clients.last["1.0.0"].Sub(switched)
	t.Logf("the pods were replaced %s after the apply, the last client left after %s; a deploy takes %s",
		gone.Sub(switched), stayed, slowest)
	if limit := drain + 2*slowest; stayed > limit {
		t.Errorf("a client got the old version %s after the apply, later than %s", stayed, limit)
	}
	h.must(h.Rollback(t.Context(), "still there"))
	h.requireServes("1.0.0")
}

// awaitRecycled returns when all of former are gone, and whether there were size pods
// ready in env all the time until then.
func (h *harness) awaitRecycled(
	env bluegreen.Environment, former map[types.UID]*corev1.Pod, size int,
) (wasComplete bool, gone time.Time) {
	h.Helper()
	ctx, cancel := context.WithTimeout(h.Context(), 2*time.Minute)
	defer cancel()
	session := h.session()
	informer := session.Pods(podLabels(h.Deployment, env.String()))
	wasComplete = true
	h.must(session.Await(ctx, func() (bool, time.Duration, error) {
		pods, err := informer.Items()
		if err != nil {
			return false, 0, err
		}
		ready, left := 0, 0
		for _, pod := range pods {
			if former[pod.UID] != nil {
				left++
			}
			if !isNotReady(pod) && pod.DeletionTimestamp == nil {
				ready++
			}
		}
		wasComplete = wasComplete && ready >= size
		return left == 0, 0, nil
	}))
	return wasComplete, time.Now()
}
