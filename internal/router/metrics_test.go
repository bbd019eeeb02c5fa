// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

func TestMetricsTellWhatHappened(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	m := metrics(t, registry, "web")
	metrics(t, registry, "other") // shares the registry
	e, c, slow := startRouter(t, protocol.HTTP, m), newClient(t), newSlowHandler(t)
	e.blue.Set([]router.Backend{replica(t, "blue-1", answerWith("1.0.0"))})
	e.green.Set([]router.Backend{replica(t, "green-1", slow.answers(""))})

	get(t, c, e.url)
	get(t, c, e.url)
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
	})})
	get(t, c, e.url)
	e.blue.Set(nil)
	get(t, c, e.url)
	e.Switch(nil)
	get(t, c, e.url)
	e.Switch(e.green)
	m.ObserveSwitch(3 * time.Millisecond)
	last := getInBackground(t, c, e.url)
	<-slow.arrived
	if n := nonzero(t, registry)["in_flight web green"]; n != 1 {
		t.Errorf("%v in flight on green, want 1", n)
	}
	if n := nonzero(t, registry)["connections web live"]; n < 1 {
		t.Errorf("%v clients are connected", n)
	}
	e.green.CloseConnections()
	<-last
	// A failure is counted when its request ends, and a shutdown waits for that.
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}

	want := map[string]float64{
		"requests_total web blue":                           4,
		"requests_total web green":                          1,
		"requests_total web none":                           1,
		"failures_total web blue status_5xx":                1,
		"failures_total web blue refused":                   1,
		"failures_total web none no_target":                 1,
		"failures_total web green cut":                      1,
		"answers_total web blue blue-1 2xx":                 2,
		"answers_total web blue blue-1 5xx":                 1,
		"request_duration_seconds web blue (observations)":  4,
		"request_duration_seconds web green (observations)": 1,
		"switches_total web live":                           3,
		"switch_duration_seconds web (observations)":        1,
	}
	if got := nonzero(t, registry); !maps.Equal(got, want) {
		t.Errorf("metrics:\n%v\nwant:\n%v", got, want)
	}
}

func TestMetricsTellWhoBrokeOff(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	e, c := startRouter(t, protocol.HTTP, metrics(t, registry, "web")), newClient(t)
	arrived := make(chan struct{})
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/broken" {
			panic(http.ErrAbortHandler)
		}
		close(arrived)
		<-r.Context().Done()
	})})
	get(t, c, e.url+"/broken")
	get(t, c, e.url+"/broken")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	req, _ := http.NewRequestWithContext(ctx, http.MethodGet, e.url+"/slow", http.NoBody)
	if res, err := c.Do(req); err == nil {
		_ = res.Body.Close()
		t.Error("a request that was cancelled got an answer")
	}
	// A failure is counted before its request ends, and a shutdown waits for that.
	if err := e.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := map[string]float64{
		"requests_total web blue":                          3,
		"failures_total web blue upstream":                 2,
		"failures_total web blue canceled":                 1,
		"request_duration_seconds web blue (observations)": 3,
		"switches_total web live":                          1,
	}
	if got := nonzero(t, registry); !maps.Equal(got, want) {
		t.Errorf("metrics:\n%v\nwant:\n%v", got, want)
	}
}

func TestMetricsOfADeploymentThatIsGoneAreGone(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	m := metrics(t, registry, "web")
	router.New("live", protocol.HTTP, router.Options{Metrics: m}).Switch(router.NewPool("blue", m))
	m.Unregister()
	if left := nonzero(t, registry); len(left) != 0 {
		t.Errorf("left are %v", left)
	}
	metrics(t, registry, "web")
	if _, err := router.NewMetrics(registry, "web"); err == nil {
		t.Error("one deployment registers twice")
	}
}

// Prometheus wants each bucket to count all that are not above its bound, and seconds.
func TestDurationsAreCountedAsPrometheusWantsThem(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewPedanticRegistry()
	m := metrics(t, registry, "web")
	// Both are of one environment, as while one drains that the other replaces.
	old, next := router.NewPool("blue", m), router.NewPool("blue", m)
	old.ObserveDuration(0)
	old.ObserveDuration(time.Millisecond)
	old.ObserveDuration(time.Millisecond + 1)
	next.ObserveDuration(2500*time.Microsecond - 1)
	next.ObserveDuration(time.Minute)
	next.ObserveDuration(time.Minute + 245500*time.Microsecond)
	recorder := httptest.NewRecorder()
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(recorder, httptest.NewRequest("", "/", http.NoBody))
	var got []string
	for line := range strings.Lines(recorder.Body.String()) {
		const labels = `{deployment="web",environment="blue"`
		if line, ok := strings.CutPrefix(line, "bluegreen_router_request_duration_seconds"); ok {
			got = append(got, strings.Replace(strings.TrimSpace(line), labels, "", 1))
		}
	}
	want := []string{
		`_bucket,le="0.001"} 2`, `_bucket,le="0.0025"} 4`, `_bucket,le="0.005"} 4`, `_bucket,le="0.01"} 4`,
		`_bucket,le="0.025"} 4`, `_bucket,le="0.05"} 4`, `_bucket,le="0.1"} 4`, `_bucket,le="0.25"} 4`,
		`_bucket,le="0.5"} 4`, `_bucket,le="1"} 4`, `_bucket,le="2.5"} 4`, `_bucket,le="5"} 4`, `_bucket,le="10"} 4`,
		`_bucket,le="30"} 4`, `_bucket,le="60"} 5`, `_bucket,le="+Inf"} 6`,
		`_sum} 120.25`, `_count} 6`,
	}
	if !slices.Equal(got, want) {
		t.Errorf("the histogram is\n%q, want\n%q", got, want)
	}
}

func metrics(t *testing.T, r prometheus.Registerer, deployment string) *router.Metrics {
	t.Helper()
	m, err := router.NewMetrics(r, deployment)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// nonzero maps the name of each series that is not zero, with its labels, to its value.
func nonzero(t *testing.T, g prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := g.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := strings.TrimPrefix(family.GetName(), "bluegreen_router_")
			for _, label := range metric.GetLabel() {
				name += " " + label.GetValue()
			}
			if h := metric.GetHistogram(); h != nil {
				series[name+" (observations)"] = float64(h.GetSampleCount())
				continue
			}
			series[name] = metric.GetCounter().GetValue() + metric.GetGauge().GetValue()
		}
	}
	maps.DeleteFunc(series, func(_ string, v float64) bool { return v == 0 })
	return series
}
