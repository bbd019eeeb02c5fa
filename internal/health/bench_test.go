// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// BenchmarkSeen measures how long after a service has opened its port Await
// returns, for services that take different times to boot.
func BenchmarkSeen(b *testing.B) {
	checker := newChecker(b, health.Config{})
	for _, boot := range []time.Duration{0, 20 * time.Millisecond, 100 * time.Millisecond, 500 * time.Millisecond} {
		b.Run("boot="+boot.String(), func(b *testing.B) {
			var late []time.Duration
			for b.Loop() {
				late = append(late, awaitBoot(b, checker, boot))
			}
			slices.Sort(late)
			b.ReportMetric(0, "ns/op") // the boot time, mostly
			b.ReportMetric(float64(late[len(late)/2].Microseconds()), "µs-late-median")
			b.ReportMetric(float64(late[len(late)-1].Microseconds()), "µs-late-max")
		})
	}
}

// awaitBoot returns how late a service is seen that opens its port after boot.
func awaitBoot(b *testing.B, checker *health.Checker, boot time.Duration) time.Duration {
	b.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	var opened atomic.Pointer[time.Time]
	target := instance{dial: func(ctx context.Context) (net.Conn, error) {
		if opened.Load() == nil {
			return refuseConnection(ctx)
		}
		return instanceAt(server.Listener.Addr()).Dial(ctx)
	}}
	started := make(chan struct{})
	time.AfterFunc(boot, func() {
		defer close(started)
		server.Start()
		now := time.Now()
		opened.Store(&now)
	})
	if verdict := checker.Await(b.Context(), target); !verdict.IsHealthy() {
		b.Fatal(verdict)
	}
	seen := time.Now()
	<-started
	return seen.Sub(*opened.Load())
}

// BenchmarkProbe is the price of one probe of a service that is well.
func BenchmarkProbe(b *testing.B) {
	web := serve(b, (*httptest.Server).Start, func(http.ResponseWriter, *http.Request) {})
	rpc := serveGRPC(b, withHealth(grpc.NewServer(), grpc_health_v1.HealthCheckResponse_SERVING))
	for _, kind := range []struct {
		name   string
		config health.Config
		target instance
	}{
		{"http", health.Config{HTTP: &health.HTTP{}}, web},
		{"tcp", health.Config{TCP: &health.TCP{}}, web},
		{"grpc", health.Config{GRPC: &health.GRPC{}}, rpc},
	} {
		b.Run(kind.name, func(b *testing.B) {
			checker := newChecker(b, kind.config)
			b.ReportAllocs()
			for b.Loop() {
				if verdict := checker.Probe(b.Context(), kind.target); !verdict.IsHealthy() {
					b.Fatal(verdict)
				}
			}
		})
	}
}
