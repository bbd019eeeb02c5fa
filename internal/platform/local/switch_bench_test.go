// SPDX-License-Identifier: MPL-2.0

//go:build unix

package local_test

import (
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// stopwatch notes when the last replica was found healthy, and when the switch
// was committed: both as the engine sees them.
type stopwatch struct {
	bluegreen.Platform
	bluegreen.Checker

	mu                       sync.Mutex
	healthy, begun, switched time.Time
}

func (s *stopwatch) Await(ctx context.Context, target bluegreen.Target) bluegreen.Verdict {
	verdict := s.Checker.Await(ctx, target)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.healthy = time.Now()
	return verdict
}

func (s *stopwatch) Commit(ctx context.Context, next bluegreen.Ledger, closed []bluegreen.Record) error {
	began := time.Now()
	err := s.Platform.Commit(ctx, next, closed)
	// The commit that switches is the first one after which live is not yet watched.
	if next.WatchDue != "" {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.begun, s.switched = began, time.Now()
	}
	return err
}

func timed(s *service) *stopwatch {
	w := &stopwatch{Platform: s.Platform, Checker: s.Checker}
	s.Platform, s.Checker = w, w
	return w
}

// BenchmarkHealthyToSwitched measures the time from the answer of the last
// replica to its health check until the switch is committed, at three replicas.
func BenchmarkHealthyToSwitched(b *testing.B) {
	s := newService(b, local.Frontend{})
	s.live("1.0.0", 3)
	release := agenttest.Release(b, "2.0.0", agenttest.Healthy)
	release.Replicas = 3
	w := timed(s)
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		// Every release is a new one: its replicas have to start.
		release.Args = []string{time.Duration(n).String()}
		s.must(s.DeployAndSwitch(b.Context(), release))
		took = append(took, w.switched.Sub(w.healthy))
	}
	b.ReportMetric(milliseconds(percentile(took, 50)), "p50-ms")
	b.ReportMetric(milliseconds(percentile(took, 95)), "p95-ms")
}

// BenchmarkSwitchUnderLoad switches to and fro under 8 clients that keep their
// connection and 4 that open one for each request. It fails if a request fails.
// It measures the time from the commit until somebody is answered by the new
// environment, and until the last request that began at the old one began. The
// second is negative: every request that begins after the commit goes to the new
// environment. So the first is what a request takes when all clients ask without a
// pause and keep the machine busy, which is measured beside it.
func BenchmarkSwitchUnderLoad(b *testing.B) {
	s := newService(b, local.Frontend{DrainTimeout: time.Second})
	releases := []bluegreen.Release{s.live("1.0.0", 2), s.live("2.0.0", 2)}
	w := timed(s)
	l := startCrowd(s.endpoint())
	var first, last []time.Duration
	for n := 0; b.Loop(); n++ {
		next := releases[n%2]
		s.must(s.DeployAndSwitch(b.Context(), next))
		began, answered := l.seen(next.Version, w.begun)
		first = append(first, answered.Sub(w.switched))
		last = append(last, began.Sub(w.switched))
	}
	requests, failures := l.stop()
	b.ReportMetric(milliseconds(percentile(l.took, 50)), "request-p50-ms")
	b.ReportMetric(milliseconds(percentile(l.took, 99)), "request-p99-ms")
	if failures > 0 {
		b.Errorf("%d of %d requests failed", failures, requests)
	}
	b.ReportMetric(milliseconds(percentile(first, 50)), "first-new-p50-ms")
	b.ReportMetric(milliseconds(percentile(first, 99)), "first-new-p99-ms")
	b.ReportMetric(milliseconds(percentile(last, 50)), "last-old-p50-ms")
	b.ReportMetric(milliseconds(percentile(last, 99)), "last-old-p99-ms")
	b.ReportMetric(float64(requests), "requests")
	b.ReportMetric(float64(failures), "failed")
}

// crowd is twelve clients that ask without a pause.
type crowd struct {
	url                string
	stopping           chan struct{}
	clients            sync.WaitGroup
	requests, failures atomic.Int64

	mu      sync.Mutex
	answers []answer
	took    []time.Duration
	came    *sync.Cond
}

// answer is one request as its client saw it.
type answer struct {
	version      string
	began, ended time.Time
}

func startCrowd(url string) *crowd {
	l := &crowd{url: url, stopping: make(chan struct{})}
	l.came = sync.NewCond(&l.mu)
	for n := range 12 {
		transport := &http.Transport{DisableKeepAlives: n >= 8}
		l.clients.Go(func() {
			defer transport.CloseIdleConnections()
			l.ask(&http.Client{Transport: transport, Timeout: 10 * time.Second})
		})
	}
	return l
}

func (l *crowd) ask(client *http.Client) {
	for {
		select {
		case <-l.stopping:
			return
		default:
		}
		began := time.Now()
		version, ok := fetch(client, l.url)
		l.requests.Add(1)
		if !ok {
			l.failures.Add(1)
		}
		l.mu.Lock()
		ended := time.Now()
		l.answers = append(l.answers, answer{version, began, ended})
		l.took = append(l.took, ended.Sub(began))
		l.came.Broadcast()
		l.mu.Unlock()
	}
}

func fetch(client *http.Client, url string) (version string, ok bool) {
	response, err := client.Get(url)
	if err != nil {
		return "", false
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return string(body), err == nil && response.StatusCode == http.StatusOK
}

// seen waits until every client has begun a request after the switch that began
// at begun, and returns when the last request that the old version answered had
// begun and when the new version first answered.
func (l *crowd) seen(version string, begun time.Time) (lastOldBegan, firstNewEnded time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	const enough = 24
	for l.newer(version, begun) < enough {
		l.came.Wait()
	}
	lastOldBegan = begun
	for _, a := range l.answers {
		switch {
		case a.version != version && a.began.After(lastOldBegan):
			lastOldBegan = a.began
		case a.version == version && a.ended.After(begun) && (firstNewEnded.IsZero() || a.ended.Before(firstNewEnded)):
			firstNewEnded = a.ended
		}
	}
	l.answers = nil
	return lastOldBegan, firstNewEnded
}

func (l *crowd) newer(version string, begun time.Time) (n int) {
	for _, a := range l.answers {
		if a.version == version && a.began.After(begun) {
			n++
		}
	}
	return n
}

func (l *crowd) stop() (requests, failures int64) {
	close(l.stopping)
	l.clients.Wait()
	return l.requests.Load(), l.failures.Load()
}

func percentile(measured []time.Duration, p int) time.Duration {
	slices.Sort(measured)
	return measured[min(len(measured)*p/100, len(measured)-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkRollback measures the engine's part of a rollback: lock, look, write.
func BenchmarkRollback(b *testing.B) {
	s := newService(b, local.Frontend{})
	s.live("1.0.0", 1)
	release := s.live("2.0.0", 1)
	var rollback, status []time.Duration
	for b.Loop() {
		began := time.Now()
		s.must(s.Rollback(b.Context(), "measured"))
		rollback = append(rollback, time.Since(began))
		began = time.Now()
		_, err := s.Status(b.Context())
		s.must(err)
		status = append(status, time.Since(began))
		s.must(s.DeployAndSwitch(b.Context(), release))
	}
	b.ReportMetric(milliseconds(percentile(rollback, 50)), "rollback-p50-ms")
	b.ReportMetric(milliseconds(percentile(status, 50)), "status-p50-ms")
}
