// SPDX-License-Identifier: MPL-2.0

package router

import (
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// failure is why a request failed. The set is small, because it labels a metric.
type failure int

const (
	failNoPool   failure = iota // No environment was live.
	failRefused                 // No replica accepted a connection.
	failUpstream                // The replica broke off before or in its answer, or answered nonsense.
	failStatus                  // The replica answered 5xx.
	failCanceled                // The client went away.
	failCut                     // The router closed it, because the drain timeout was over.
	failTimeout                 // The replica did not answer in time.
	failClient                  // The client's request was malformed or too long.
	failures
)

var failureNames = [failures]string{
	"no_target", "refused", "upstream", "status_5xx", "canceled", "cut", "timeout", "client",
}

// counter is a prometheus.Counter, or one that does not count.
type counter interface{ Inc() }

type noCounter struct{}

func (noCounter) Inc() {}

// counters are the metrics of one environment, looked up once.
type counters struct {
	requests counter
	failures [failures]counter
}

func (c *counters) countFailure(kind failure) { c.failures[kind].Inc() }

// Metrics are the metrics of one deployment. A nil *Metrics counts nothing.
type Metrics struct {
	registerer     prometheus.Registerer
	requests       *prometheus.CounterVec
	failed         *prometheus.CounterVec
	answers        *prometheus.CounterVec
	switches       *prometheus.CounterVec
	switchDuration prometheus.Histogram
	inFlight       *prometheus.Desc
	durations      *prometheus.Desc
	connections    *prometheus.Desc

	mu      sync.Mutex
	pools   map[*Pool]struct{}
	routers map[*Router]struct{}
}

// NewMetrics registers the metrics of a deployment. Several deployments may
// share a registerer.
func NewMetrics(registerer prometheus.Registerer, deployment string) (*Metrics, error) {
	m := &Metrics{
		registerer: prometheus.WrapRegistererWith(prometheus.Labels{"deployment": deployment}, registerer),
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bluegreen_router_requests_total",
			Help: "Requests, or TCP connections, by the environment they went to.",
		}, []string{"environment"}),
		failed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bluegreen_router_failures_total",
			Help: "Requests, or TCP connections, that failed, by environment and kind.",
		}, []string{"environment", "kind"}),
		answers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bluegreen_router_answers_total",
			Help: "Answers to requests, by environment, replica and class of the status.",
		}, []string{"environment", "replica", "status"}),
		switches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "bluegreen_router_switches_total",
			Help: "Changes of the pool that an endpoint sends requests to.",
		}, []string{"endpoint"}),
		switchDuration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "bluegreen_router_switch_duration_seconds",
			Help:    "Time from the order to switch until traffic goes to the new environment.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		inFlight: prometheus.NewDesc("bluegreen_router_in_flight",
			"Requests, streams, WebSockets and TCP connections in flight.", []string{"environment"}, nil),
		durations: prometheus.NewDesc("bluegreen_router_request_duration_seconds",
			"Time from the head of a request to the end of its answer.", []string{"environment"}, nil),
		connections: prometheus.NewDesc("bluegreen_router_connections",
			"Connections of clients that are open.", []string{"endpoint"}, nil),
		pools:   make(map[*Pool]struct{}),
		routers: make(map[*Router]struct{}),
	}
	for _, c := range m.collectors() {
		if err := m.registerer.Register(c); err != nil {
			m.Unregister()
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) collectors() []prometheus.Collector {
	return []prometheus.Collector{m.requests, m.failed, m.answers, m.switches, m.switchDuration, (*stateCollector)(m)}
}

// Unregister takes the deployment's metrics out of the registerer.
func (m *Metrics) Unregister() {
	for _, c := range m.collectors() {
		m.registerer.Unregister(c)
	}
}

// ObserveSwitch records how long a switch took. The caller measures it, because
// the write of the ledger is part of it.
func (m *Metrics) ObserveSwitch(d time.Duration) {
	if m != nil {
		m.switchDuration.Observe(d.Seconds())
	}
}

func (m *Metrics) counters(environment string) *counters {
	c := &counters{requests: noCounter{}}
	for kind := range c.failures {
		c.failures[kind] = noCounter{}
	}
	if m == nil {
		return c
	}
	c.requests = m.requests.WithLabelValues(environment)
	for kind, name := range failureNames {
		c.failures[kind] = m.failed.WithLabelValues(environment, name)
	}
	return c
}

func (m *Metrics) switchCounter(endpoint string) counter {
	if m == nil {
		return noCounter{}
	}
	return m.switches.WithLabelValues(endpoint)
}

func (m *Metrics) track(p *Pool) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pools[p] = struct{}{}
}

func (m *Metrics) untrack(p *Pool) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.pools, p)
}

// trackRouter makes the connections of a router count, until its forget is called.
func (m *Metrics) trackRouter(r *Router) (forget func()) {
	if m == nil {
		return func() {}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.routers[r] = struct{}{}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.routers, r)
	}
}

// answerCounters are the counters of one replica's answers, by the first digit of the status.
type answerCounters [6]counter

func (m *Metrics) answerCounters(environment, replica string) (c answerCounters) {
	for class := range c {
		c[class] = noCounter{}
		if m != nil && class > 0 {
			c[class] = m.answers.WithLabelValues(environment, replica, fmt.Sprintf("%dxx", class))
		}
	}
	return c
}

// count counts an answer with this status; 0 is none.
func (c *answerCounters) count(status int) {
	if class := status / 100; class < len(c) {
		c[class].Inc()
	}
}

// durationBounds are the upper bounds of the buckets of a histogram.
var durationBounds = [...]time.Duration{
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond, 10 * time.Millisecond, 25 * time.Millisecond,
	50 * time.Millisecond, 100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond, time.Second,
	2500 * time.Millisecond, 5 * time.Second, 10 * time.Second, 30 * time.Second, time.Minute,
}

// durations is a histogram. To observe costs two atomic additions, less than half of what
// it costs with the one of the Prometheus library.
type durations struct {
	buckets [len(durationBounds) + 1]atomic.Uint64
	sum     atomic.Int64
}

func (d *durations) observe(duration time.Duration) {
	i := 0
	for i < len(durationBounds) && duration > durationBounds[i] {
		i++
	}
	d.buckets[i].Add(1)
	d.sum.Add(int64(duration))
}

// addTo adds what was observed to a sum of histograms.
func (d *durations) addTo(sum *durations) {
	for i := range d.buckets {
		sum.buckets[i].Add(d.buckets[i].Load())
	}
	sum.sum.Add(d.sum.Load())
}

// metric returns the histogram as Prometheus has it, with cumulative buckets.
func (d *durations) metric(desc *prometheus.Desc, labels ...string) prometheus.Metric {
	var count uint64
	buckets := make(map[float64]uint64, len(durationBounds))
	for i, bound := range durationBounds {
		count += d.buckets[i].Load()
		buckets[bound.Seconds()] = count
	}
	count += d.buckets[len(durationBounds)].Load()
	sum := time.Duration(d.sum.Load()).Seconds()
	return prometheus.MustNewConstHistogram(desc, count, sum, buckets, labels...)
}

// stateCollector collects what pools and routers count anyway, so that it costs nothing
// per request.
type stateCollector Metrics

var _ prometheus.Collector = (*stateCollector)(nil)

func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) {
	ch <- c.inFlight
	ch <- c.durations
	ch <- c.connections
}

func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	inFlight := make(map[bluegreen.Environment]int64)
	took := make(map[bluegreen.Environment]*durations)
	for p := range c.pools {
		inFlight[p.env] += p.state.Load().inFlight.count()
		if took[p.env] == nil {
			took[p.env] = new(durations)
		}
		p.durations.addTo(took[p.env])
	}
	connections := make(map[string]int64)
	for r := range c.routers {
		connections[r.name] += r.frontend.connections()
	}
	for env, n := range inFlight {
		ch <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(n), string(env))
		ch <- took[env].metric(c.durations, string(env))
	}
	for name, n := range connections {
		ch <- prometheus.MustNewConstMetric(c.connections, prometheus.GaugeValue, float64(n), name)
	}
}
