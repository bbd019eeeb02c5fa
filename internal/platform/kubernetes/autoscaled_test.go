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

// An autoscaler decides on the size: what it has decided is no drift, a new
// release comes up at that size, and a rollback finds the standby at its own.
// Nobody is refused meanwhile.
func TestClusterAutoscaled(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *Options) { o.RecycleStandby = true })
	s.must(s.applyAny("1.0.0"))
	s.autoscale(bluegreen.Green, 3)
	s.nothingToDo("1.0.0")
	clients := gather(t, s.clusterAddress(), 2, 2)
	s.must(s.applyAny("2.0.0"))
	s.counts(3, 3)
	s.autoscale(bluegreen.Blue, 4)
	s.autoscale(bluegreen.Green, 1)
	s.counts(4, 1)
	s.nothingToDo("2.0.0")
	s.must(s.Rollback(t.Context(), "to see"))
	clients.hears("1.0.0")
	s.counts(4, 1)
	s.must(s.applyAny("2.0.0"))
	clients.hears("2.0.0")
	s.counts(1, 1)
	clients.content()
}

// The autoscaler does not wait for us: it acts while a release starts and while
// it is watched, and neither fails for it.
func TestClusterAutoscaledMeanwhile(t *testing.T) {
	t.Parallel()
	s := newShop(t)
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
	s.counts(1, 2)
	s.serves("2.0.0")
}

// desiredAny is a version without a word about its size.
func (s *shop) desiredAny(version string) bluegreen.Desired {
	s.Helper()
	want := s.desired(version, 1)
	want.Release.Autoscaled = true
	return want
}

func (s *shop) applyAny(version string) error {
	s.Helper()
	want := s.desiredAny(version)
	if _, err := s.platform.Load(s.Context()); err != nil {
		_, err = s.Create(s.Context(), want)
		return err
	}
	return s.apply(want)
}

// resize gives a Deployment another size, by what an autoscaler uses.
func (s *shop) resize(env bluegreen.Environment, replicas int32) {
	size := fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas)
	_, err := theTestbed.apps.Deployments(s.namespace).Patch(s.Context(), workloadName(s.Deployment, env), types.MergePatchType, size,
		metav1.PatchOptions{FieldManager: "kube-controller-manager"}, "scale")
	if err != nil {
		s.Error(err)
	}
}

// autoscale returns when the Deployment has its other size.
func (s *shop) autoscale(env bluegreen.Environment, replicas int32) {
	s.Helper()
	s.resize(env, replicas)
	ctx, cancel := context.WithTimeout(s.Context(), time.Minute)
	defer cancel()
	session := s.platform.newSession(ctx, s.api)
	defer session.end()
	seen := session.watch(s.platform.opts.workload(env))
	s.must(session.bell.await(ctx, func() (bool, time.Duration, error) {
		found, err := seen.deployment()
		return err == nil && found != nil && found.Status.ReadyReplicas == replicas && found.Status.Replicas == replicas, 0, err
	}))
}

// counts fails the test unless a refresh finds environments of these sizes.
func (s *shop) counts(blue, green int) {
	s.Helper()
	status, err := s.Status(s.Context())
	s.must(err)
	for env, want := range map[bluegreen.Environment]int{bluegreen.Blue: blue, bluegreen.Green: green} {
		if got := status.Ledger.Slot(env).Release.Replicas; got != want || status.Running[env] != want {
			s.Errorf("%s has the size %d, and %d run, want %d", env, got, status.Running[env], want)
		}
	}
}

// nothingToDo fails the test unless the plan after a refresh is empty.
func (s *shop) nothingToDo(version string) {
	s.Helper()
	status, err := s.Status(s.Context())
	s.must(err)
	if steps, err := status.Ledger.Next(s.desiredAny(version), status.Running); err != nil || len(steps) > 0 {
		s.Errorf("there is something to do: %v, %v", steps, err)
	}
}
