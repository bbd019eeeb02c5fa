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

// whileLeaseExpires calls work when the lease of h has run out, as if h, which holds the
// lock, could not renew it. fault is the transport of h.
func (h *harness) whileLeaseExpires(fault *faultyTransport, work func()) {
	h.Helper()
	leases := h.api.Leases(h.Namespace)
	lease, err := leases.Get(h.Context(), leaseName(h.Deployment), metav1.GetOptions{})
	h.must(err)
	longAgo := metav1.NewMicroTime(h.api.Now().Add(-2 * cluster.LeaseDuration))
	lease.Spec.RenewTime = &longAgo
	// A renewal that is on its way must not succeed.
	lease.Annotations[cluster.TokenAnnotation] = "another"
	_, err = leases.Update(h.Context(), lease, metav1.UpdateOptions{})
	h.must(err)
	work()
	fault.clockAhead.Store(int64(2 * cluster.LeaseDuration))
}

// A holder is cut off from the cluster, and meanwhile another one makes a release live in
// the environment that the first was to deploy to. When the first reaches the cluster
// again, it finds that release.
func TestClusterHolderThatWasCutOffLeavesLiveAlone(t *testing.T) {
	t.Parallel()
	client, fault := newFaultyClient(t)
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	holder := openHarness(t, client, h.platform.opts)
	planned, err := h.platform.Load(t.Context())
	h.must(err)
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
	holder.whileLeaseExpires(fault, func() { h.makeLive("3.0.0", 1) })
	before := h.deployment(bluegreen.Blue)
	fault.restore()
	if err := <-ended; !errors.Is(err, cluster.ErrLockLost) {
		t.Errorf("the holder that was cut off ends with %v, want cluster.ErrLockLost", err)
	}
	if now := h.deployment(bluegreen.Blue); now.UID != before.UID || now.Generation != before.Generation {
		t.Error("it has changed what is live")
	}
	h.requireServes("3.0.0")
}

// A write that arrives when another holds the lock changes nothing that the other
// has written.
func TestClusterWriteThatComesLateIsRefused(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.makeLive("1.0.0", 1)
	cases := []struct {
		method string
		late   func(*Platform, context.Context) error
		other  func()
		env    bluegreen.Environment
	}{
		{
			http.MethodPost,
			func(p *Platform, ctx context.Context) error {
				_, err := p.Provision(ctx, bluegreen.Blue, h.release("2.0.0", 1))
				return err
			},
			func() { h.makeLive("3.0.0", 1) }, bluegreen.Blue,
		},
		{
			http.MethodPatch,
			func(p *Platform, ctx context.Context) error { return p.Scale(ctx, bluegreen.Blue, 1) },
			func() { h.makeLive("3.0.0", 2) }, bluegreen.Blue,
		},
		{
			http.MethodDelete,
			func(p *Platform, ctx context.Context) error { return p.Remove(ctx, bluegreen.Green) },
			func() { h.makeLive("3.0.0", 1) }, bluegreen.Green,
		},
	}
	for _, c := range cases {
		client, fault := newFaultyClient(t)
		holder := openHarness(t, client, h.platform.opts)
		unlock, err := holder.platform.Lock(t.Context(), holder.Actor)
		h.must(err)
		sent := fault.intercept(false, func(r *http.Request) bool {
			return r.Method == c.method && strings.Contains(r.URL.Path, "/deployments")
		})
		late := make(chan error)
		go func() { late <- c.late(holder.platform, t.Context()) }()
		<-sent
		holder.whileLeaseExpires(fault, c.other)
		before := h.deployment(c.env)
		fault.restore()
		if err := <-late; !errors.Is(err, cluster.ErrLockLost) {
			t.Errorf("%s: got %v, want cluster.ErrLockLost", c.method, err)
		}
		if now := h.deployment(c.env); now.UID != before.UID || now.Generation != before.Generation {
			t.Errorf("%s has changed what another wrote", c.method)
		}
		unlock()
	}
	h.requireServes("3.0.0")
}

// The first write of a deployment changes nothing if another run, which took the lock
// meanwhile, has created the deployment.
func TestClusterFirstWriteThatComesLateIsRefused(t *testing.T) {
	t.Parallel()
	client, fault := newFaultyClient(t)
	h := newHarness(t)
	holder := openHarness(t, client, h.platform.opts)
	sent := fault.intercept(false, func(r *http.Request) bool {
		return r.Method != http.MethodGet && strings.Contains(r.URL.Path, "/services")
	})
	late := make(chan error)
	go func() {
		_, err := holder.Create(t.Context(), holder.desired("2.0.0", 1))
		late <- err
	}()
	<-sent
	var before bluegreen.Ledger
	holder.whileLeaseExpires(fault, func() {
		h.makeLive("3.0.0", 1)
		var err error
		before, err = h.platform.Load(t.Context())
		h.must(err)
	})
	fault.restore()
	if err := <-late; err == nil {
		t.Error("the run that was late has created the deployment again")
	}
	after, err := h.platform.Load(t.Context())
	h.must(err)
	if after.Generation != before.Generation {
		t.Errorf("the ledger was at generation %d, and is at %d", before.Generation, after.Generation)
	}
	h.requireServes("3.0.0")
}

// A holder that lives keeps the lock. One that has died holds up the next one only until its lease
// has run out.
func TestClusterLockOfADeadHolderIsWaitedFor(t *testing.T) {
	t.Parallel()
	client, fault := newFaultyClient(t)
	h := newHarness(t)
	holder := openHarness(t, client, h.platform.opts)
	unlock, err := holder.platform.Lock(t.Context(), "ann@host (pid 1)")
	h.must(err)
	defer unlock()
	if _, err := h.platform.Lock(t.Context(), "bob@host (pid 2)"); !isHeldBy(err, "ann@host (pid 1)") {
		t.Errorf("locking what a living holder has locked: %v", err)
	}
	fault.intercept(true, func(*http.Request) bool { return true })
	defer fault.restore()
	unlockNext, err := h.platform.Lock(t.Context(), "bob@host (pid 2)")
	h.must(err)
	unlockNext()
}

func isHeldBy(err error, holder string) bool {
	locked, ok := errors.AsType[*bluegreen.LockedError](err)
	return ok && locked.Holder.Name == holder
}

// A wait for the cluster ends with an error when the lock is lost.
func TestClusterLostLockEndsTheWait(t *testing.T) {
	t.Parallel()
	client, fault := newFaultyClient(t)
	h := newHarnessWithClient(t, client, func(o *Options) {
		o.PodTemplate, o.SchedulingGrace = `{"spec":{"nodeSelector":{"planet":"mars"}}}`, time.Hour
	})
	unlock, err := h.platform.Lock(t.Context(), h.Actor)
	h.must(err)
	defer unlock()
	ended := make(chan error)
	go func() {
		_, err := h.platform.Provision(t.Context(), bluegreen.Green, h.release("1.0.0", 1))
		ended <- err
	}()
	run := h.platform.currentRun()
	informers := informersFor(run.Session, h.platform.opts.managedWorkload(bluegreen.Green))
	h.must(run.Await(t.Context(), func() (bool, time.Duration, error) {
		deployment, pods, err := informers.current()
		return err == nil && deployment != nil && len(pods) == 1, 0, err
	}))
	h.must(h.api.Leases(h.Namespace).Delete(t.Context(), leaseName(h.Deployment), metav1.DeleteOptions{}))
	fault.clockAhead.Store(int64(2 * cluster.LeaseDuration))
	if _, err := run.Writer(t.Context()); !errors.Is(err, cluster.ErrLockLost) {
		t.Errorf("writing with a lease that was removed: %v", err)
	}
	if err := <-ended; !errors.Is(err, cluster.ErrLockLost) {
		t.Errorf("the wait ends with %v, want ErrLockLost", err)
	}
}
