// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// outage is how long a component is away, and recovery how long the others may
// take to find together again when it is back: what has lost the API server waits
// up to a minute before it asks again, and until then no endpoint follows a selector.
const (
	outage   = 20 * time.Second
	recovery = 4 * time.Minute
)

// deployPhases are what a deploy does, each by what its progress begins with.
var deployPhases = map[string]string{
	"deploys": "deploying", "checks": "checking the health", "switches": "switching traffic", "watches": "watching",
}

// A part of the cluster goes away while deploys are in the middle of every phase:
// whatever becomes of them, what serves goes on serving, and the next apply
// converges. These tests take the cluster from all others, so they do not run
// beside any.
func TestClusterOutage(t *testing.T) {
	for _, component := range []string{"kube-apiserver", "etcd", "kubelet"} {
		t.Run(component, func(t *testing.T) {
			var shops []*busyShop
			for does, phase := range deployPhases {
				shops = append(shops, newBusyShop(t, component+"-"+does, phase))
			}
			<-surprise(t, shops, component)
			for _, s := range shops {
				s.converges()
			}
		})
	}
}

// busyShop is one that deploys while something happens.
type busyShop struct {
	*shop
	phase   string
	clients *crowd
	// err is how the deploy ended.
	err error
}

func newBusyShop(t *testing.T, name, phase string) *busyShop {
	s := newShop(t, func(o *Options) { o.Name = "while-" + strings.TrimPrefix(name, "kube-") })
	s.Config.SwitchTimeout, s.Config.BakeTime = recovery, time.Second
	s.live("1.0.0", 2)
	return &busyShop{shop: s, phase: phase, clients: gather(t, s.clusterAddress(), 1, 1)}
}

// surprise lets every shop deploy, waits until each is in its phase, and then
// takes the component away. The channel is closed when it is back and every deploy
// has ended.
func surprise(t *testing.T, shops []*busyShop, component string) (over <-chan struct{}) {
	var missing, running sync.WaitGroup
	complete, ended := make(chan struct{}), make(chan struct{})
	missing.Add(len(shops))
	for _, s := range shops {
		before, err := s.platform.Load(t.Context())
		s.must(err)
		arrive := sync.OnceFunc(missing.Done)
		s.Progress = func(message string) {
			if strings.HasPrefix(message, s.phase) {
				arrive()
				<-complete
			}
		}
		running.Go(func() {
			defer arrive()
			_, s.err = s.Apply(t.Context(), before, s.desired("2.0.0", 2))
		})
	}
	running.Go(func() {
		missing.Wait()
		close(complete)
		theTestbed.without(t, component)
	})
	go func() {
		defer close(ended)
		running.Wait()
	}()
	return ended
}

// without stops a component of the cluster, and starts it again after a while.
func (b *testbed) without(t *testing.T, component string) {
	if err := b.command(t.Context(), "stop", component); err != nil {
		t.Error(err)
	}
	_ = pause(t.Context(), outage) // However it ends, the component has to come back.
	if err := b.command(context.WithoutCancel(t.Context()), "start", component); err != nil {
		t.Error(err)
	}
}

// converges fails the test unless the next apply brings what was wanted, and
// nobody has noticed anything.
func (s *busyShop) converges() {
	s.Helper()
	s.Logf("%s: the apply ended with: %v", s.Deployment, s.err)
	deadline, cancel := context.WithTimeout(s.Context(), 2*recovery)
	defer cancel()
	next := openShop(s, s.client, s.platform.opts)
	next.Config.SwitchTimeout = recovery
	ledger, err := next.platform.Load(deadline)
	s.must(err)
	if !ledger.IsServing() {
		s.Fatal("nothing serves")
	}
	if s.err != nil {
		next.converge(deadline, s.desired("2.0.0", 2))
	}
	next.serves("2.0.0")
	s.clients.hears("2.0.0")
	s.clients.content()
}

// converge applies until the lock of the apply before has run out.
func (s *shop) converge(ctx context.Context, want bluegreen.Desired) {
	s.Helper()
	for {
		ledger, err := s.platform.Load(ctx)
		s.must(err)
		_, err = s.Apply(ctx, ledger, want)
		if err == nil {
			return
		}
		if !isBusy(err) || pause(ctx, time.Second) != nil {
			s.Fatalf("the next apply does not converge: %v", err)
		}
	}
}

func isBusy(err error) bool { return errors.Is(err, bluegreen.EnvironmentBusy) }
