// SPDX-License-Identifier: MPL-2.0

package kubernetes

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// onlooker sees what any client of the API sees, by watches of its own: when the
// last pod of an environment became ready, and when the Service selected it.
type onlooker struct {
	*shop
	session  *session
	services *follower[*corev1.Service]
}

func newOnlooker(s *shop) *onlooker {
	session := s.platform.newSession(s.Context(), s.api)
	s.Cleanup(session.end)
	client := s.api.services(s.namespace)
	o := &onlooker{shop: s, session: session}
	o.services = follow(session.ctx, &session.running, source[*corev1.Service]{
		options: metav1.ListOptions{FieldSelector: "metadata.name=" + s.Deployment},
		list: func(ctx context.Context, options metav1.ListOptions) ([]*corev1.Service, string, error) {
			found, err := client.List(ctx, options)
			if err != nil {
				return nil, "", err
			}
			return pointers(found.Items), found.ResourceVersion, nil
		},
		watch: func(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
			return client.Watch(ctx, options)
		},
	}, session.bell)
	return o
}

// selected returns when the Service selects env.
func (o *onlooker) selected(env bluegreen.Environment) time.Time {
	_ = o.session.bell.await(o.Context(), func() (bool, time.Duration, error) {
		found, err := o.services.current()
		return err == nil && len(found) == 1 && found[0].Spec.Selector[labelEnvironment] == env.String(), 0, err
	})
	return time.Now()
}

// ready returns when size pods of env with this version are ready.
func (o *onlooker) ready(env bluegreen.Environment, version string, size int) time.Time {
	seen := o.session.watch(o.platform.opts.workload(env))
	_ = o.session.bell.await(o.Context(), func() (bool, time.Duration, error) {
		_, pods, err := seen.now()
		ready := 0
		for _, pod := range pods {
			if pod.Labels[labelVersion] == version && notReady(pod) == nil {
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
			s := newShop(b, func(o *Options) { o.Name = fmt.Sprintf("bench-switch-%d", size) })
			s.live("0.0.0", size)
			o := newOnlooker(s)
			o.selected(bluegreen.Green)
			var took []time.Duration
			for version := 1; b.Loop(); version++ {
				took = append(took, o.deploy(fmt.Sprintf("%d.0.0", version), size))
			}
			report(b, took)
		})
	}
}

func (o *onlooker) deploy(version string, size int) time.Duration {
	ledger, err := o.platform.Load(o.Context())
	o.must(err)
	ready := make(chan time.Time, 1)
	selected := make(chan time.Time, 1)
	go func() { ready <- o.ready(ledger.Staging(), version, size) }()
	go func() { selected <- o.selected(ledger.Staging()) }()
	release := o.release(version, size)
	// A service that boots at once is ready before anybody can ask it.
	release.Env["BOOT"] = "2s"
	o.must(o.DeployAndSwitch(o.Context(), release))
	return (<-selected).Sub(<-ready)
}

// BenchmarkClusterRollback measures from the call of the engine until the
// selector has been updated.
func BenchmarkClusterRollback(b *testing.B) {
	s := newShop(b, func(o *Options) { o.Name = "bench-rollback" })
	s.live("1.0.0", 3)
	s.live("2.0.0", 3)
	o := newOnlooker(s)
	var took []time.Duration
	for b.Loop() {
		ledger, err := s.platform.Load(b.Context())
		s.must(err)
		began := time.Now()
		selected := make(chan time.Time, 1)
		go func() { selected <- o.selected(ledger.Staging()) }()
		s.must(s.Rollback(b.Context(), "to measure"))
		took = append(took, (<-selected).Sub(began))
		b.StopTimer()
		s.must(s.DeployAndSwitch(b.Context(), s.release("2.0.0", 3)))
		b.StartTimer()
	}
	report(b, took)
}

// report gives the median, and the slowest.
func report(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms-median")
	b.ReportMetric(float64(took[len(took)-1].Microseconds())/1000, "ms-max")
}
