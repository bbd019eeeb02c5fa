// SPDX-License-Identifier: MPL-2.0

package upkeep

import "github.com/prometheus/client_golang/prometheus"

var _ prometheus.Collector = (*Keeper)(nil)

var healthy = prometheus.NewDesc("bluegreen_replica_healthy",
	"1 for a replica that is healthy, 0 for one that is not.", []string{"environment", "replica"}, nil)

// Describe implements prometheus.Collector.
func (k *Keeper) Describe(ch chan<- *prometheus.Desc) { ch <- healthy }

// Collect implements prometheus.Collector.
func (k *Keeper) Collect(ch chan<- prometheus.Metric) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for run, p := range k.runs {
		value := 1.0
		if p.isUnhealthy {
			value = 0
		}
		ch <- prometheus.MustNewConstMetric(healthy, prometheus.GaugeValue, value,
			string(run.Environment), p.Target.ID())
	}
}
