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
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// outageTime is how long a component is stopped, and recoveryTime how long the others
// may take to recover when it runs again: after an outage of the API server they wait up
// to a minute before they ask again, and until then no endpoint follows a selector.
const (
	outageTime   = 20 * time.Second
	recoveryTime = 4 * time.Minute
)

// deployPhases are the phases of a deploy, each with the first words of its progress.
var deployPhases = map[string]string{
	"deploys": "deploying", "checks": "checking the health", "switches": "switching traffic", "watches": "watching",
}

// A component of the cluster stops while deploys are in the middle of every phase.
// However they end, what serves goes on serving, and the next apply converges. This test
// stops the cluster for all others, so it runs alone.
func TestClusterOutage(t *testing.T) {
	for _, component := range []string{"kube-apiserver", "etcd", "kubelet"} {
		t.Run(component, func(t *testing.T) {
			var deploys []*deployInOutage
			for name, phase := range deployPhases {
				deploys = append(deploys, newDeployInOutage(t, component+"-"+name, phase))
			}
			stopDuringDeploys(t, deploys, component)
			for _, d := range deploys {
				if d.phase == deployPhases["watches"] && d.err != nil {
					t.Errorf("%s: a release that was well failed in its watch: %v", d.Deployment, d.err)
				}
				d.requireConverges()
			}
		})
	}
}

// deployInOutage is a deploy in the middle of which a component stops.
type deployInOutage struct {
	*harness
	phase   string
	clients *loadClients
	// err is how the deploy ended.
	err error
}

func newDeployInOutage(t *testing.T, name, phase string) *deployInOutage {
	h := newHarness(t, func(o *Options) { o.Name = "while-" + strings.TrimPrefix(name, "kube-") })
	h.Config.SwitchTimeout, h.Config.BakeTime = recoveryTime, time.Second
	h.makeLive("1.0.0", 2)
	return &deployInOutage{harness: h, phase: phase, clients: startClients(t, h.clusterAddress(), 1, 1)}
}

// stopDuringDeploys starts every deploy, waits until each is in its phase, and then stops
// the component for a while. It returns when every deploy has ended.
func stopDuringDeploys(t *testing.T, deploys []*deployInOutage, component string) {
	var missing, running sync.WaitGroup
	allArrived := make(chan struct{})
	missing.Add(len(deploys))
	for _, d := range deploys {
		before, err := d.platform.Load(t.Context())
		d.must(err)
		arrive := sync.OnceFunc(missing.Done)
		d.Progress = func(message string) {
			if strings.HasPrefix(message, d.phase) {
				arrive()
				<-allArrived
			}
		}
		running.Go(func() {
			defer arrive()
			_, d.err = d.Apply(t.Context(), before, d.desired("2.0.0", 2))
		})
	}
	running.Go(func() {
		missing.Wait()
		close(allArrived)
		sharedCluster.stopForAWhile(t, component)
	})
	running.Wait()
}

// stopForAWhile stops a component of the cluster, and starts it again.
func (c *testCluster) stopForAWhile(t *testing.T, component string) {
	if err := c.Run(t.Context(), "stop", component); err != nil {
		t.Error(err)
	}
	_ = cluster.Pause(t.Context(), outageTime) // However the pause ends, the component has to start again.
	if err := c.Run(context.WithoutCancel(t.Context()), "start", component); err != nil {
		t.Error(err)
	}
}

// requireConverges fails the test unless the next apply makes the wanted version live,
// and no request has failed.
func (d *deployInOutage) requireConverges() {
	d.Helper()
	d.Logf("%s: the apply ended with: %v", d.Deployment, d.err)
	ctx, cancel := context.WithTimeout(d.Context(), 2*recoveryTime)
	defer cancel()
	next := openHarness(d, d.client, d.platform.opts)
	next.Config.SwitchTimeout = recoveryTime
	ledger, err := next.platform.Load(ctx)
	d.must(err)
	if !ledger.IsServing() {
		d.Fatal("nothing serves")
	}
	if d.err != nil {
		next.applyOnceUnlocked(ctx, d.desired("2.0.0", 2))
	}
	next.requireServes("2.0.0")
	d.clients.awaitAnswer("2.0.0")
	d.clients.requireNoFailures()
}

// applyOnceUnlocked applies again until the lock of the apply before has run out.
func (h *harness) applyOnceUnlocked(ctx context.Context, want bluegreen.Desired) {
	h.Helper()
	for {
		ledger, err := h.platform.Load(ctx)
		h.must(err)
		_, err = h.Apply(ctx, ledger, want)
		if err == nil {
			return
		}
		if !errors.Is(err, bluegreen.EnvironmentBusy) || cluster.Pause(ctx, time.Second) != nil {
			h.Fatalf("the next apply does not converge: %v", err)
		}
	}
}
