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

// stopwatch records when the last replica was found healthy, and when the commit of the
// switch began and ended.
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

func startStopwatch(s *service) *stopwatch {
	w := &stopwatch{Platform: s.Platform, Checker: s.Checker}
	s.Platform, s.Checker = w, w
	return w
}

// BenchmarkHealthyToSwitched measures the time from the answer of the last
// replica to its health check until the switch is committed, at three replicas.
func BenchmarkHealthyToSwitched(b *testing.B) {
	s := newService(b, local.Frontend{})
	s.deployLive("1.0.0", 3)
	release := agenttest.Release(b, "2.0.0", agenttest.Healthy)
	release.Replicas = 3
	w := startStopwatch(s)
	var took []time.Duration
	for n := 0; b.Loop(); n++ {
		// Every release is a new one, whose replicas have to start.
		release.Args = []string{time.Duration(n).String()}
		s.must(s.DeployAndSwitch(b.Context(), release))
		took = append(took, w.switched.Sub(w.healthy))
	}
	b.ReportMetric(milliseconds(percentile(took, 50)), "p50-ms")
	b.ReportMetric(milliseconds(percentile(took, 95)), "p95-ms")
}

// BenchmarkSwitchUnderLoad switches back and forth while 8 clients keep their connection
// and 4 clients open one for each request. It fails if a request fails.
//
// It measures two times from the commit of the switch: until a client is answered by the
// new environment, and until the start of the last request that the old environment
// answers. The second is negative, because every request that begins after the commit goes
// to the new environment. The first is therefore the duration of a request on a busy
// machine, which is measured too.
func BenchmarkSwitchUnderLoad(b *testing.B) {
	s := newService(b, local.Frontend{DrainTimeout: time.Second})
	releases := []bluegreen.Release{s.deployLive("1.0.0", 2), s.deployLive("2.0.0", 2)}
	w := startStopwatch(s)
	load := startLoadGenerator(s.endpoint())
	var first, last []time.Duration
	for n := 0; b.Loop(); n++ {
		next := releases[n%2]
		s.must(s.DeployAndSwitch(b.Context(), next))
		began, answered := load.awaitSwitch(next.Version, w.begun)
		first = append(first, answered.Sub(w.switched))
		last = append(last, began.Sub(w.switched))
	}
	requests, failures := load.stop()
	b.ReportMetric(milliseconds(percentile(load.took, 50)), "request-p50-ms")
	b.ReportMetric(milliseconds(percentile(load.took, 99)), "request-p99-ms")
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

// loadGenerator runs twelve clients that send requests without a pause.
type loadGenerator struct {
	url                string
	stopping           chan struct{}
	clients            sync.WaitGroup
	requests, failures atomic.Int64

	mu      sync.Mutex
	answers []answer
	took    []time.Duration
	cond    *sync.Cond
}

// answer is the answer to one request, with the times that its client measured.
type answer struct {
	version      string
	began, ended time.Time
}

func startLoadGenerator(url string) *loadGenerator {
	g := &loadGenerator{url: url, stopping: make(chan struct{})}
	g.cond = sync.NewCond(&g.mu)
	for n := range 12 {
		transport := &http.Transport{DisableKeepAlives: n >= 8}
		g.clients.Go(func() {
			defer transport.CloseIdleConnections()
			g.run(&http.Client{Transport: transport, Timeout: time.Minute})
		})
	}
	return g
}

func (g *loadGenerator) run(client *http.Client) {
	for {
		select {
		case <-g.stopping:
			return
		default:
		}
		began := time.Now()
		version, ok := fetch(client, g.url)
		g.requests.Add(1)
		if !ok {
			g.failures.Add(1)
		}
		g.mu.Lock()
		ended := time.Now()
		g.answers = append(g.answers, answer{version, began, ended})
		g.took = append(g.took, ended.Sub(began))
		g.cond.Broadcast()
		g.mu.Unlock()
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

// awaitSwitch waits until the clients have started enough requests after begun, when the
// switch began. It returns when the last request that the old version answered was started,
// and when the new version first answered.
func (g *loadGenerator) awaitSwitch(version string, begun time.Time) (lastOldBegan, firstNewEnded time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	const enough = 24
	for g.countNewer(version, begun) < enough {
		g.cond.Wait()
	}
	lastOldBegan = begun
	for _, a := range g.answers {
		switch {
		case a.version != version && a.began.After(lastOldBegan):
			lastOldBegan = a.began
		case a.version == version && a.ended.After(begun) && (firstNewEnded.IsZero() || a.ended.Before(firstNewEnded)):
			firstNewEnded = a.ended
		}
	}
	g.answers = nil
	return lastOldBegan, firstNewEnded
}

func (g *loadGenerator) countNewer(version string, begun time.Time) (n int) {
	for _, a := range g.answers {
		if a.version == version && a.began.After(begun) {
			n++
		}
	}
	return n
}

func (g *loadGenerator) stop() (requests, failures int64) {
	close(g.stopping)
	g.clients.Wait()
	return g.requests.Load(), g.failures.Load()
}

func percentile(measured []time.Duration, p int) time.Duration {
	slices.Sort(measured)
	return measured[min(len(measured)*p/100, len(measured)-1)]
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// BenchmarkRollback measures the engine's part of a rollback: lock, observe and commit.
func BenchmarkRollback(b *testing.B) {
	s := newService(b, local.Frontend{})
	s.deployLive("1.0.0", 1)
	release := s.deployLive("2.0.0", 1)
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
