// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// whileLeaseExpires calls work when the lease of s has run out, as if s, which holds the
// lock, could not renew it. fault is the transport of s.
func (s *harness) whileLeaseExpires(fault *faultyTransport, work func()) {
	s.Helper()
	leases := s.api.Leases(s.Namespace)
	lease, err := leases.Get(s.Context(), leaseName(s.Deployment), metav1.GetOptions{})
	s.must(err)
	longAgo := metav1.NewMicroTime(s.api.Now().Add(-2 * cluster.LeaseDuration))
	lease.Spec.RenewTime = &longAgo
	// A renewal that is on its way must not succeed.
	lease.Annotations[cluster.TokenAnnotation] = "another"
	_, err = leases.Update(s.Context(), lease, metav1.UpdateOptions{})
	s.must(err)
	work()
	fault.clockAhead.Store(int64(2 * cluster.LeaseDuration))
}

// A holder that was cut off finds, when it sees again, what another has made live
// meanwhile in the environment that it was to deploy to.
func TestClusterHolderThatWasCutOffLeavesLiveAlone(t *testing.T) {
	t.Parallel()
	client, fault := newFaultyClient(t)
	s := newHarness(t)
	s.makeLive("1.0.0", 1)
	holder := openHarness(t, client, s.platform.opts)
	planned, err := s.platform.Load(t.Context())
	s.must(err)
	deploying := make(chan (<-chan struct{}), 1)
	holder.Progress = func(message string) {
		if strings.HasPrefix(message, "deploying") {
			deploying <- fault.intercept(true, func(r *http.Request) bool { return r.Method == http.MethodGet })
		}
	}
	ended := make(chan error)
	go func() {
		_, err := holder.Apply(t.Context(), planned, holder.desired("2.0.0", 1))
		ended <- err
	}()
	blind := <-deploying
	<-blind
	holder.whileLeaseExpires(fault, func() { s.makeLive("3.0.0", 1) })
	before := s.deployment(bluegreen.Blue)
	fault.restore()
	if err := <-ended; !errors.Is(err, cluster.ErrLockLost) {
		t.Errorf("the holder that was cut off ends with %v, want cluster.ErrLockLost", err)
	}
	if now := s.deployment(bluegreen.Blue); now.UID != before.UID || now.Generation != before.Generation {
		t.Error("it has changed what is live")
	}
	s.requireServes("3.0.0")
}

// A write that arrives when another holds the lock changes nothing that the other
// has written.
func TestClusterWriteThatComesLateIsRefused(t *testing.T) {
	t.Parallel()
	s := newHarness(t)
	s.makeLive("1.0.0", 1)
	cases := []struct {
		method string
		late   func(*Platform, context.Context) error
		other  func()
		env    bluegreen.Environment
	}{
		{
			http.MethodPost,
			func(p *Platform, ctx context.Context) error {
				_, err := p.Provision(ctx, bluegreen.Blue, s.release("2.0.0", 1))
				return err
			},
			func() { s.makeLive("3.0.0", 1) }, bluegreen.Blue,
		},
		{
			http.MethodPatch,
			func(p *Platform, ctx context.Context) error { return p.Scale(ctx, bluegreen.Blue, 1) },
			func() { s.makeLive("3.0.0", 2) }, bluegreen.Blue,
		},
		{
			http.MethodDelete,
			func(p *Platform, ctx context.Context) error { return p.Remove(ctx, bluegreen.Green) },
			func() { s.makeLive("3.0.0", 1) }, bluegreen.Green,
		},
	}
	for _, c := range cases {
		client, fault := newFaultyClient(t)
		holder := openHarness(t, client, s.platform.opts)
		unlock, err := holder.platform.Lock(t.Context(), holder.Actor)
		s.must(err)
		sent := fault.intercept(false, func(r *http.Request) bool {
			return r.Method == c.method && strings.Contains(r.URL.Path, "/deployments")
		})
		late := make(chan error)
		go func() { late <- c.late(holder.platform, t.Context()) }()
		<-sent
		holder.whileLeaseExpires(fault, c.other)
		before := s.deployment(c.env)
		fault.restore()
		if err := <-late; !errors.Is(err, cluster.ErrLockLost) {
			t.Errorf("%s: got %v, want cluster.ErrLockLost", c.method, err)
		}
		if now := s.deployment(c.env); now.UID != before.UID || now.Generation != before.Generation {
			t.Errorf("%s has changed what another wrote", c.method)
		}
		unlock()
	}
	s.requireServes("3.0.0")
}

// Who waits for the cluster learns that the lock is lost.
func TestClusterLostLockEndsTheWait(t *testing.T) {
	t.Parallel()
	client, fault := newFaultyClient(t)
	s := newHarnessWithClient(t, client, func(o *Options) {
		o.PodTemplate, o.SchedulingGrace = `{"spec":{"nodeSelector":{"planet":"mars"}}}`, time.Hour
	})
	unlock, err := s.platform.Lock(t.Context(), s.Actor)
	s.must(err)
	defer unlock()
	ended := make(chan error)
	go func() {
		_, err := s.platform.Provision(t.Context(), bluegreen.Green, s.release("1.0.0", 1))
		ended <- err
	}()
	op := s.platform.currentOperation()
	informers := informersFor(op.Session, s.platform.opts.managedWorkload(bluegreen.Green))
	s.must(op.Await(t.Context(), func() (bool, time.Duration, error) {
		deployment, pods, err := informers.current()
		return err == nil && deployment != nil && len(pods) == 1, 0, err
	}))
	s.must(s.api.Leases(s.Namespace).Delete(t.Context(), leaseName(s.Deployment), metav1.DeleteOptions{}))
	fault.clockAhead.Store(int64(2 * cluster.LeaseDuration))
	if _, err := op.Writer(t.Context()); !errors.Is(err, cluster.ErrLockLost) {
		t.Errorf("writing with a lease that was removed: %v", err)
	}
	if err := <-ended; !errors.Is(err, cluster.ErrLockLost) {
		t.Errorf("the wait ends with %v, want ErrLockLost", err)
	}
}
