// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// An autoscaler decides on the size. Its decision is no drift, a new release comes up at
// that size, and a rollback brings a smaller standby to the size of live. No request fails meanwhile.
func TestClusterAutoscaled(t *testing.T) {
	t.Parallel()
	h := newHarness(t, func(o *Options) { o.RecycleStandby = true })
	h.must(h.applyAny("1.0.0"))
	h.autoscale(bluegreen.Green, 3)
	h.requireNoSteps("1.0.0")
	clients := startClients(t, h.clusterAddress(), 2, 2)
	h.must(h.applyAny("2.0.0"))
	h.requireSizes(3, 3)
	h.autoscale(bluegreen.Blue, 4)
	h.autoscale(bluegreen.Green, 1)
	h.requireSizes(4, 1)
	h.requireNoSteps("2.0.0")
	h.must(h.Rollback(t.Context(), "to see"))
	clients.awaitAnswer("1.0.0")
	h.requireSizes(4, 4)
	h.autoscale(bluegreen.Green, 2)
	h.must(h.applyAny("2.0.0"))
	clients.awaitAnswer("2.0.0")
	h.requireSizes(2, 2)
	h.autoscale(bluegreen.Blue, 1)
	preview := h.desiredAny("3.0.0")
	preview.Promote = false
	h.must(h.apply(preview))
	h.autoscale(bluegreen.Blue, 3)
	h.must(h.applyAny("3.0.0"))
	clients.awaitAnswer("3.0.0")
	h.requireSizes(3, 3)
	clients.requireNoFailures()
}

// The autoscaler may act while a release starts and while it is watched. Neither fails.
func TestClusterAutoscaledMeanwhile(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.Config.BakeTime, h.Config.ProbeInterval = 3*time.Second, 100*time.Millisecond
	h.must(h.applyAny("1.0.0"))
	h.autoscale(bluegreen.Green, 2)
	h.Progress = func(message string) {
		switch {
		case strings.HasPrefix(message, "checking"):
			h.resize(bluegreen.Blue, 3)
		case strings.HasPrefix(message, "watching"):
			h.resize(bluegreen.Blue, 1)
		}
	}
	h.must(h.applyAny("2.0.0"))
	h.Progress = nil
	h.requireSizes(1, 2)
	h.requireServes("2.0.0")
}

// desiredAny is a version whose size is left to the autoscaler.
func (h *harness) desiredAny(version string) bluegreen.Desired {
	h.Helper()
	want := h.desired(version, 1)
	want.Release.Autoscaled = true
	return want
}

func (h *harness) applyAny(version string) error {
	h.Helper()
	want := h.desiredAny(version)
	ledger, err := h.platform.Load(h.Context())
	if err != nil {
		_, err = h.Create(h.Context(), want)
		return err
	}
	return h.apply(withRetry(want, ledger))
}

// resize gives a Deployment another size as an autoscaler does.
func (h *harness) resize(env bluegreen.Environment, replicas int32) {
	size := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := h.apps.Deployments(h.Namespace).Patch(h.Context(), workloadName(h.Deployment, env), types.MergePatchType,
		size, metav1.PatchOptions{FieldManager: "kube-controller-manager"}, "scale")
	if err != nil {
		h.Error(err)
	}
}

// autoscale gives a Deployment another size, and returns when it has that.
func (h *harness) autoscale(env bluegreen.Environment, replicas int32) {
	h.Helper()
	h.resize(env, replicas)
	ctx, cancel := context.WithTimeout(h.Context(), time.Minute)
	defer cancel()
	informers := h.informers(env)
	h.must(informers.session.Await(ctx, func() (bool, time.Duration, error) {
		found, err := informers.deployment()
		if err != nil || found == nil {
			return false, 0, err
		}
		return found.Status.ReadyReplicas == replicas && found.Status.Replicas == replicas, 0, nil
	}))
}

// requireSizes fails the test unless a refresh finds environments of these sizes.
func (h *harness) requireSizes(blue, green int) {
	h.Helper()
	status, err := h.Status(h.Context())
	h.must(err)
	for env, want := range map[bluegreen.Environment]int{bluegreen.Blue: blue, bluegreen.Green: green} {
		if got := status.Ledger.Slot(env).Release.Replicas; got != want || status.Running[env] != want {
			h.Errorf("%s has the size %d, and %d run, want %d", env, got, status.Running[env], want)
		}
	}
}

// requireNoSteps fails the test unless the plan after a refresh is empty.
func (h *harness) requireNoSteps(version string) {
	h.Helper()
	status, err := h.Status(h.Context())
	h.must(err)
	if steps, err := status.Ledger.Next(h.desiredAny(version), status.Running); err != nil || len(steps) > 0 {
		h.Errorf("the plan has steps: %v, %v", steps, err)
	}
}
