// SPDX-License-Identifier: MPL-2.0

package router

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// failure is why a request failed. The set is small, because it labels a metric.
type failure int

const (
	failNoPool   failure = iota // No environment was live.
	failRefused                 // No replica accepted a connection.
	failUpstream                // The replica broke off before or in its answer.
	failStatus                  // The replica answered 5xx.
	failCanceled                // The client went away.
	failCut                     // The router closed it, because the drain timeout was over.
	failTimeout                 // The replica did not answer in time.
	failClient                  // The client's request was malformed or too long.
	failures
)

var failureNames = [failures]string{"no_target", "refused", "upstream", "status_5xx", "canceled", "cut", "timeout", "client"}

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
	switches       *prometheus.CounterVec
	switchDuration prometheus.Histogram
	inFlight       *prometheus.Desc

	mu    sync.Mutex
	pools map[*Pool]struct{}
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
		pools: make(map[*Pool]struct{}),
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
	return []prometheus.Collector{m.requests, m.failed, m.switches, m.switchDuration, (*inFlightCollector)(m)}
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

// inFlightCollector collects the gauge from the counts that the pools keep anyway,
// so that it costs nothing per request.
type inFlightCollector Metrics

var _ prometheus.Collector = (*inFlightCollector)(nil)

func (c *inFlightCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.inFlight }

func (c *inFlightCollector) Collect(ch chan<- prometheus.Metric) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sums := make(map[bluegreen.Environment]int64)
	for p := range c.pools {
		sums[p.env] += p.state.Load().inFlight.count()
	}
	for env, n := range sums {
		ch <- prometheus.MustNewConstMetric(c.inFlight, prometheus.GaugeValue, float64(n), string(env))
	}
}
