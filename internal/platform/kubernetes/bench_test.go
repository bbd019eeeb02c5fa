// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/kubernetes/cluster"
)

// observer sees what any client of the API sees, with informers of its own: when the
// last pod of an environment became ready, and when the Service selected it.
type observer struct {
	*harness
	session  *cluster.Session
	services *cluster.Informer[*corev1.Service]
}

func newObserver(h *harness) *observer {
	session := h.session()
	return &observer{h, session, cluster.StartInformer(session, h.serviceSource())}
}

// serviceSource selects the live Service.
func (h *harness) serviceSource() cluster.Source[*corev1.Service] {
	services := h.api.Services(h.Namespace)
	items := func(found *corev1.ServiceList) []corev1.Service { return found.Items }
	name := objectName("Service", h.Namespace, h.Deployment)
	return cluster.NewSource(name, services.List, items, services.Watch, cluster.WithName(h.Deployment))
}

// selected returns when the Service selects env.
func (o *observer) selected(env bluegreen.Environment) time.Time {
	_ = o.session.Await(o.Context(), func() (bool, time.Duration, error) {
		found, err := o.services.Items()
		isSelected := len(found) == 1 && found[0].Spec.Selector[labelEnvironment] == env.String()
		return err == nil && isSelected, 0, err
	})
	return time.Now()
}

// ready returns when size pods of env with this version are ready.
func (o *observer) ready(env bluegreen.Environment, version string, size int) time.Time {
	informers := informersFor(o.session, o.platform.opts.managedWorkload(env))
	_ = o.session.Await(o.Context(), func() (bool, time.Duration, error) {
		_, pods, err := informers.current()
		ready := 0
		for _, pod := range pods {
			if pod.Labels[labelVersion] == version && !isNotReady(pod) {
				ready++
			}
		}
		return err == nil && ready == size, 0, err
	})
	return time.Now()
}

// BenchmarkClusterReadyToSwitched measures from the moment when the last pod is
// ready until the selector has been updated, as a third party sees either.
func BenchmarkClusterReadyToSwitched(b *testing.B) {
	for _, size := range []int{3, 20} {
		b.Run(fmt.Sprintf("replicas=%d", size), func(b *testing.B) {
			h := newHarness(b, func(o *Options) { o.Name = fmt.Sprintf("bench-switch-%d", size) })
			h.makeLive("0.0.0", size)
			o := newObserver(h)
			o.selected(bluegreen.Green)
			var took []time.Duration
			for version := 1; b.Loop(); version++ {
				took = append(took, o.deploy(fmt.Sprintf("%d.0.0", version), size))
			}
			report(b, took)
		})
	}
}

func (o *observer) deploy(version string, size int) time.Duration {
	ledger, err := o.platform.Load(o.Context())
	o.must(err)
	ready := make(chan time.Time, 1)
	selected := make(chan time.Time, 1)
	go func() { ready <- o.ready(ledger.Staging(), version, size) }()
	go func() { selected <- o.selected(ledger.Staging()) }()
	release := o.release(version, size)
	// A service that starts at once is ready before the first probe.
	release.Env["BOOT"] = "2s"
	o.must(o.DeployAndSwitch(o.Context(), release))
	return (<-selected).Sub(<-ready)
}

// BenchmarkClusterRollback measures from the call of the engine until the
// selector has been updated.
func BenchmarkClusterRollback(b *testing.B) {
	h := newHarness(b, func(o *Options) { o.Name = "bench-rollback" })
	h.makeLive("1.0.0", 3)
	h.makeLive("2.0.0", 3)
	o := newObserver(h)
	var took []time.Duration
	for b.Loop() {
		ledger, err := h.platform.Load(b.Context())
		h.must(err)
		began := time.Now()
		selected := make(chan time.Time, 1)
		go func() { selected <- o.selected(ledger.Staging()) }()
		h.must(h.Rollback(b.Context(), "to measure"))
		took = append(took, (<-selected).Sub(began))
		b.StopTimer()
		h.must(h.DeployAndSwitch(b.Context(), h.release("2.0.0", 3)))
		b.StartTimer()
	}
	report(b, took)
}

// report reports the median and the maximum.
func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms-max")
}
