// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// network is what lies between one client and the cluster. It loses or holds up
// the requests that are caught.
type network struct {
	next http.RoundTripper

	mu sync.Mutex
	// caught says of a request whether it is, nil for none.
	caught func(*http.Request) bool
	// lossy loses what is caught; otherwise it arrives when the network is well.
	lossy bool
	// first is closed when something is caught, and well when it is so no longer.
	first, well chan struct{}
	notice      func()
}

var errCut = errors.New("the network is cut")

// throughNetwork returns a client of its own behind a network that is well.
func throughNetwork(t testing.TB) (*Client, *network) {
	t.Helper()
	client := NewClient(theTestbed.settings())
	t.Cleanup(client.Close)
	api, err := client.open()
	if err != nil {
		t.Fatal(err)
	}
	n := &network{next: api.http.Transport}
	api.http.Transport = n
	return client, n
}

// catch makes the network bad until it is healed. first is closed when it has
// caught a request.
func (n *network) catch(lossy bool, caught func(*http.Request) bool) (first <-chan struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.caught, n.lossy, n.first, n.well = caught, lossy, make(chan struct{}), make(chan struct{})
	n.notice = sync.OnceFunc(func() { close(n.first) })
	return n.first
}

func (n *network) heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.caught = nil
	close(n.well)
}

func (n *network) RoundTrip(request *http.Request) (*http.Response, error) {
	n.mu.Lock()
	caught := n.caught != nil && n.caught(request)
	lossy, well, notice := n.lossy, n.well, n.notice
	n.mu.Unlock()
	if caught {
		notice()
		if lossy {
			return nil, errCut
		}
		select {
		case <-well:
		case <-request.Context().Done():
			return nil, request.Context().Err()
		}
	}
	return n.next.RoundTrip(request)
}

// WrappedRoundTripper lets the connections be closed.
func (n *network) WrappedRoundTripper() http.RoundTripper { return n.next }

// absent has others do their work while s, which holds the lock, cannot renew it
// for so long that it runs out.
func (s *shop) absent(work func()) {
	s.Helper()
	leases := s.api.leases(s.namespace)
	lease, err := leases.Get(s.Context(), leaseName(s.Deployment), metav1.GetOptions{})
	s.must(err)
	long := metav1.NewMicroTime(s.api.clock.now().Add(-2 * leaseTime))
	lease.Spec.RenewTime = &long
	// A renewal that is on its way does not bring it back.
	lease.Annotations[annotationToken] = "another"
	_, err = leases.Update(s.Context(), lease, metav1.UpdateOptions{})
	s.must(err)
	work()
	s.platform.current().lease.extend(time.Time{})
}

func (s *shop) deployment(env bluegreen.Environment) *appsv1.Deployment {
	s.Helper()
	found, err := theTestbed.apps.Deployments(s.namespace).Get(s.Context(), workloadName(s.Deployment, env), metav1.GetOptions{})
	s.must(err)
	return found
}

// A holder that was cut off finds, when it sees again, what another has made live
// meanwhile in the environment that it was to deploy to.
func TestClusterHolderThatWasCutOffLeavesLiveAlone(t *testing.T) {
	t.Parallel()
	client, net := throughNetwork(t)
	s := newShop(t)
	s.live("1.0.0", 1)
	holder := openShop(t, client, s.platform.opts)
	planned, err := s.platform.Load(t.Context())
	s.must(err)
	deploying := make(chan (<-chan struct{}), 1)
	holder.Progress = func(message string) {
		if strings.HasPrefix(message, "deploying") {
			deploying <- net.catch(true, func(r *http.Request) bool { return r.Method == http.MethodGet })
		}
	}
	ended := make(chan error)
	go func() {
		_, err := holder.Apply(t.Context(), planned, holder.desired("2.0.0", 1))
		ended <- err
	}()
	blind := <-deploying
	<-blind
	holder.absent(func() { s.live("3.0.0", 1) })
	before := s.deployment(bluegreen.Blue)
	net.heal()
	if err := <-ended; !errors.Is(err, ErrLockLost) {
		t.Errorf("the holder that was cut off ends with %v, want ErrLockLost", err)
	}
	if now := s.deployment(bluegreen.Blue); now.UID != before.UID || now.Generation != before.Generation {
		t.Error("it has changed what is live")
	}
	s.serves("3.0.0")
}

// A write that arrives when another holds the lock changes nothing that the other
// has written.
func TestClusterWriteThatComesLateIsRefused(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.live("1.0.0", 1)
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
			func() { s.live("3.0.0", 1) }, bluegreen.Blue,
		},
		{
			http.MethodPatch,
			func(p *Platform, ctx context.Context) error { return p.Scale(ctx, bluegreen.Blue, 1) },
			func() { s.live("3.0.0", 2) }, bluegreen.Blue,
		},
		{
			http.MethodDelete,
			func(p *Platform, ctx context.Context) error { return p.Remove(ctx, bluegreen.Green) },
			func() { s.live("3.0.0", 1) }, bluegreen.Green,
		},
	}
	for _, c := range cases {
		client, net := throughNetwork(t)
		holder := openShop(t, client, s.platform.opts)
		unlock, err := holder.platform.Lock(t.Context(), holder.Actor)
		s.must(err)
		sent := net.catch(false, func(r *http.Request) bool {
			return r.Method == c.method && strings.Contains(r.URL.Path, "/deployments")
		})
		late := make(chan error)
		go func() { late <- c.late(holder.platform, t.Context()) }()
		<-sent
		holder.absent(c.other)
		before := s.deployment(c.env)
		net.heal()
		if err := <-late; !errors.Is(err, ErrLockLost) {
			t.Errorf("%s: got %v, want ErrLockLost", c.method, err)
		}
		if now := s.deployment(c.env); now.UID != before.UID || now.Generation != before.Generation {
			t.Errorf("%s has changed what another wrote", c.method)
		}
		unlock()
	}
	s.serves("3.0.0")
}

// Nobody waits for what only the holder of the lock may do next.
func TestClusterLostLockEndsTheWait(t *testing.T) {
	t.Parallel()
	s := newShop(t, func(o *Options) {
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
	held := s.platform.current()
	s.must(held.bell.await(t.Context(), func() (bool, time.Duration, error) {
		seen := held.watched(s.platform.opts.workload(bluegreen.Green))
		if seen == nil {
			return false, time.Millisecond, nil
		}
		deployment, pods, err := seen.now()
		return err == nil && deployment != nil && len(pods) == 1, time.Millisecond, err
	}))
	s.must(s.api.leases(s.namespace).Delete(t.Context(), leaseName(s.Deployment), metav1.DeleteOptions{}))
	if err := held.lease.renew(t.Context()); !errors.Is(err, ErrLockLost) {
		t.Errorf("renewing a lease that is gone: %v", err)
	}
	if err := <-ended; !errors.Is(err, ErrLockLost) {
		t.Errorf("the wait ends with %v, want ErrLockLost", err)
	}
}
