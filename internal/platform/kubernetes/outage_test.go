// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// outage is how long the control plane is away, and recovery how long its
// controllers may take to find together again when it is back: a minute or two,
// in which the endpoints do not follow the selectors.
const (
	outage   = 20 * time.Second
	recovery = 4 * time.Minute
)

// The control plane goes away in the middle of a deploy: whatever becomes of it,
// what serves goes on serving, and the next apply converges. These tests take the
// cluster from all others, so they do not run beside any.
func TestClusterOutage(t *testing.T) {
	phases := map[string]string{
		"while-it-deploys":  "deploying",
		"while-it-checks":   "checking the health",
		"while-it-switches": "switching traffic",
		"while-it-watches":  "watching",
	}
	for name, phase := range phases {
		t.Run(name, func(t *testing.T) {
			s := newOutageShop(t, name)
			away := s.when(phase, func(ctx context.Context) { s.without(ctx, "kube-apiserver") })
			s.surviveWhile(away)
		})
	}
	t.Run("of-etcd", func(t *testing.T) {
		s := newOutageShop(t, "of-etcd")
		s.surviveWhile(s.when("checking the health", func(ctx context.Context) { s.without(ctx, "etcd") }))
	})
	t.Run("of-the-kubelet", func(t *testing.T) {
		s := newOutageShop(t, "of-the-kubelet")
		s.surviveWhile(s.when("deploying", func(ctx context.Context) { s.without(ctx, "kubelet") }))
	})
}

func newOutageShop(t *testing.T, name string) *shop {
	s := newShop(t, func(o *Options) { o.Name = "outage-" + name })
	s.Config.SwitchTimeout = recovery
	s.live("1.0.0", 2)
	return s
}

// without stops a component of the cluster, and starts it again after a while.
func (s *shop) without(ctx context.Context, component string) {
	if err := s.command(ctx, "stop", component); err != nil {
		s.Error(err)
	}
	_ = pause(ctx, outage) // However it ends, the component has to come back.
	if err := s.command(context.WithoutCancel(ctx), "start", component); err != nil {
		s.Error(err)
	}
}

// when does act once, beside the operation, when its progress begins with phase.
// The channel is closed when act has returned.
func (s *shop) when(phase string, act func(context.Context)) (done <-chan struct{}) {
	ended, begun := make(chan struct{}), false
	s.Progress = func(message string) {
		if begun || !strings.HasPrefix(message, phase) {
			return
		}
		begun = true
		go func() {
			defer close(ended)
			act(s.Context())
		}()
	}
	return ended
}

// surviveWhile deploys while something happens, which ends when over is closed.
func (s *shop) surviveWhile(over <-chan struct{}) {
	s.Helper()
	clients := gather(s, s.clusterAddress(), 2, 2)
	s.Config.BakeTime = time.Second
	want := s.desired("2.0.0", 2)
	first := s.apply(want)
	s.Logf("the apply ended with: %v", first)
	<-over
	s.Progress = nil
	next := openShop(s, s.testbed.client, s.platform.opts)
	next.Config.SwitchTimeout = recovery
	deadline, cancel := context.WithTimeout(s.Context(), 2*recovery)
	defer cancel()
	ledger, err := next.platform.Load(deadline)
	s.must(err)
	if !ledger.Serving() {
		s.Fatal("nothing serves")
	}
	if first != nil {
		next.converge(deadline, want)
	}
	next.serves("2.0.0")
	clients.hears("2.0.0")
	clients.content()
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
