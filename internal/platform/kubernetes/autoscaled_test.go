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
// that size, and a rollback finds the standby at its own. No request fails meanwhile.
func TestClusterAutoscaled(t *testing.T) {
	t.Parallel()
	s := newHarness(t, func(o *Options) { o.RecycleStandby = true })
	s.must(s.applyAny("1.0.0"))
	s.autoscale(bluegreen.Green, 3)
	s.requireNoSteps("1.0.0")
	clients := startClients(t, s.clusterAddress(), 2, 2)
	s.must(s.applyAny("2.0.0"))
	s.requireSizes(3, 3)
	s.autoscale(bluegreen.Blue, 4)
	s.autoscale(bluegreen.Green, 1)
	s.requireSizes(4, 1)
	s.requireNoSteps("2.0.0")
	s.must(s.Rollback(t.Context(), "to see"))
	clients.awaitAnswer("1.0.0")
	s.requireSizes(4, 1)
	s.must(s.applyAny("2.0.0"))
	clients.awaitAnswer("2.0.0")
	s.requireSizes(1, 1)
	clients.requireNoFailures()
}

// The autoscaler may act while a release starts and while it is watched. Neither fails.
func TestClusterAutoscaledMeanwhile(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	s.Config.BakeTime, s.Config.ProbeInterval = 3*time.Second, 100*time.Millisecond
	s.must(s.applyAny("1.0.0"))
	s.autoscale(bluegreen.Green, 2)
	s.Progress = func(message string) {
		switch {
		case strings.HasPrefix(message, "checking"):
			s.resize(bluegreen.Blue, 3)
		case strings.HasPrefix(message, "watching"):
			s.resize(bluegreen.Blue, 1)
		}
	}
	s.must(s.applyAny("2.0.0"))
	s.Progress = nil
	s.requireSizes(1, 2)
	s.requireServes("2.0.0")
}

// desiredAny is a version whose size is left to the autoscaler.
func (s *harness) desiredAny(version string) bluegreen.Desired {
	s.Helper()
	want := s.desired(version, 1)
	want.Release.Autoscaled = true
	return want
}

func (s *harness) applyAny(version string) error {
	s.Helper()
	want := s.desiredAny(version)
	if _, err := s.platform.Load(s.Context()); err != nil {
		_, err = s.Create(s.Context(), want)
		return err
	}
	return s.apply(want)
}

// resize gives a Deployment another size as an autoscaler does.
func (s *harness) resize(env bluegreen.Environment, replicas int32) {
	size := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := s.apps.Deployments(s.Namespace).Patch(s.Context(), workloadName(s.Deployment, env), types.MergePatchType,
		size, metav1.PatchOptions{FieldManager: "kube-controller-manager"}, "scale")
	if err != nil {
		s.Error(err)
	}
}

// autoscale gives a Deployment another size, and returns when it has that.
func (s *harness) autoscale(env bluegreen.Environment, replicas int32) {
	s.Helper()
	s.resize(env, replicas)
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	informers := s.informers(env)
	s.must(informers.session.Await(ctx, func() (bool, time.Duration, error) {
		found, err := informers.deployment()
		if err != nil || found == nil {
			return false, 0, err
		}
		return found.Status.ReadyReplicas == replicas && found.Status.Replicas == replicas, 0, nil
	}))
}

// requireSizes fails the test unless a refresh finds environments of these sizes.
func (s *harness) requireSizes(blue, green int) {
	s.Helper()
	status, err := s.Status(s.Context())
	s.must(err)
	for env, want := range map[bluegreen.Environment]int{bluegreen.Blue: blue, bluegreen.Green: green} {
		if got := status.Ledger.Slot(env).Release.Replicas; got != want || status.Running[env] != want {
			s.Errorf("%s has the size %d, and %d run, want %d", env, got, status.Running[env], want)
		}
	}
}

// requireNoSteps fails the test unless the plan after a refresh is empty.
func (s *harness) requireNoSteps(version string) {
	s.Helper()
	status, err := s.Status(s.Context())
	s.must(err)
	if steps, err := status.Ledger.Next(s.desiredAny(version), status.Running); err != nil || len(steps) > 0 {
		s.Errorf("the plan has steps: %v, %v", steps, err)
	}
}
