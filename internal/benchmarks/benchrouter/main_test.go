// SPDX-License-Identifier: MPL-2.0

//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// serve serves handler and returns its address.
func serve(t *testing.T, handler http.Handler) string {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestLoadGoesThroughTheBareProxyToTheReplica(t *testing.T) {
	t.Parallel()
	var answered atomic.Int64
	replica := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Forwarded-For") != "127.0.0.1" {
			w.WriteHeader(http.StatusBadRequest)
		}
		fmt.Fprintln(w, answered.Add(1))
	}))
	proxy := newBareProxy(replica)
	transport, ok := proxy.Transport.(*http.Transport)
	if !ok {
		t.Fatalf("the transport is a %T", proxy.Transport)
	}
	t.Cleanup(transport.CloseIdleConnections)

	load := fixedRate{address: serve(t, proxy), perSecond: 200, connections: 3, duration: 100 * time.Millisecond}
	measured, err := load.send(t.Context())
	if err != nil {
		t.Fatal(err)
	}

	if measured.Requests != 20 || answered.Load() != 20 {
		t.Errorf("%d requests were sent and %d answered, want 20", measured.Requests, answered.Load())
	}
	if measured.P50 <= 0 || measured.P99 < measured.P50 {
		t.Errorf("the latencies are %s and %s", measured.P50, measured.P99)
	}
}

func TestLatencyCountsFromWhenARequestWasDue(t *testing.T) {
	t.Parallel()
	address := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	due := make(chan time.Time, 1)
	due <- time.Now().Add(-time.Hour)
	close(due)

	took, err := fixedRate{address: address}.sendDue(t.Context(), due)

	if err != nil || len(took) != 1 || took[0] < time.Hour {
		t.Errorf("%v, %v; the request was due an hour ago", took, err)
	}
}

func TestLoadEndsWithAnErrorIfAnAnswerIsNoSuccess(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"503":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"close": func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Connection", "close") },
	} {
		load := fixedRate{address: serve(t, answer), perSecond: 1000, connections: 1, duration: 10 * time.Millisecond}
		if measured, err := load.send(t.Context()); err == nil || !strings.Contains(err.Error(), "the answer is") {
			t.Errorf("%s: %+v, %v, want the answer in an error", name, measured, err)
		}
	}
}

func TestReadsTheResultOfWrk(t *testing.T) {
	t.Parallel()
	const result = `Running 4s test @ http://127.0.0.1:8080/
  2 threads and 32 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency     3.30ms    2.70ms  35.12ms   86.15%
    Req/Sec     5.05k   606.80     6.64k    70.00%
  40300 requests in 4.01s, 7.15MB read
FAILURERequests/sec:  10047.12
Transfer/sec:      1.78MB
`
	measured, err := parseWrk(strings.Replace(result, "FAILURE", "", 1))
	if err != nil || measured != (throughput{requests: 40300, perSecond: 10047.12}) {
		t.Errorf("%+v, %v", measured, err)
	}
	for _, failure := range []string{
		"Socket errors: connect 0, read 7, write 0, timeout 0", "Non-2xx or 3xx responses: 3",
	} {
		_, err := parseWrk(strings.Replace(result, "FAILURE", "  "+failure+"\n", 1))
		if err == nil || !strings.Contains(err.Error(), failure) {
			t.Errorf("%v, want an error with %q", err, failure)
		}
	}
	if measured, err := parseWrk("unable to connect"); err == nil {
		t.Errorf("%+v from no result", measured)
	}
}

func TestMeasuresAProcessUntilItIsStopped(t *testing.T) {
	t.Parallel()
	session, stop, err := start("sleep", "600")
	if err != nil {
		t.Fatal(err)
	}

	memory, err := residentMemory(session)
	if err != nil || memory < 4096 {
		t.Errorf("memory: %d bytes, %v", memory, err)
	}
	if cpu, err := cpuTime(session); err != nil || cpu > time.Minute {
		t.Errorf("CPU time: %s, %v", cpu, err)
	}
	stop()

	if memory, err := residentMemory(session); err == nil {
		t.Errorf("a process that was stopped has %d bytes", memory)
	}
}

func TestTableComparesOursWithTheOthers(t *testing.T) {
	t.Parallel()
	measured := func(name string, perSecond float64, latency time.Duration) *results {
		return &results{
			target: target{name: name}, idleBytes: 10 << 10,
			perSecond: []float64{perSecond, perSecond + 400, perSecond - 400},
			cpu:       []time.Duration{3 * latency, latency, 2 * latency},
			allCPU:    []time.Duration{4 * latency},
			p50:       []time.Duration{latency}, p99: []time.Duration{5 * latency, 2 * latency, 3 * latency},
		}
	}
	var out strings.Builder
	err := writeTable(&out, []*results{
		measured(ours, 2000, 200*time.Microsecond), measured(bare, 1000, 100*time.Microsecond),
		measured(direct, 4000, 50*time.Microsecond),
	}, 1000)
	if err != nil {
		t.Fatal(err)
	}

	const want = `
          requests/s  lowest  highest     CPU  all CPU  p50 at 1000/s     p99  lowest p99  KB/idle client
    ours        2000    1600     2400  400 µs   800 µs         200 µs  600 µs      400 µs            10.0
    bare        1000     600     1400  200 µs   400 µs         100 µs  300 µs      200 µs            10.0
  direct        4000    3600     4400  100 µs   200 µs          50 µs  150 µs      100 µs               -

ours/bare: 2.00 × the requests per second (1.71 to 2.67); 0.50 × by all CPU; p99 2.00 ×
ours/direct: 0.50 × the requests per second (0.44 to 0.55); 0.25 × by all CPU; p99 4.00 ×

The first ratio is the median of the rounds. The ratio by all CPU is the one to expect on a machine
without other work, if all CPUs are busy. Other work hardly changes it.
`
	if got := "\n" + out.String(); got != want {
		t.Errorf("the table is\n%s\nwant\n%s", got, want)
	}
}
