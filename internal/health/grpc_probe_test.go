// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	grpchealth "google.golang.org/grpc/health"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// serveGRPC runs a gRPC server on loopback for the length of the test.
func serveGRPC(t testing.TB, server *grpc.Server) instance {
	t.Helper()
	listener := listen(t)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return instanceAt(listener.Addr())
}

// withHealth adds a health service that knows the server as a whole and "orders".
func withHealth(server *grpc.Server, orders grpc_health_v1.HealthCheckResponse_ServingStatus) *grpc.Server {
	service := grpchealth.NewServer()
	service.SetServingStatus("orders", orders)
	grpc_health_v1.RegisterHealthServer(server, service)
	return server
}

func TestGRPCHealthServiceDecides(t *testing.T) {
	t.Parallel()
	const (
		serving    = grpc_health_v1.HealthCheckResponse_SERVING
		notServing = grpc_health_v1.HealthCheckResponse_NOT_SERVING
	)
	for name, test := range map[string]struct {
		server *grpc.Server
		config health.GRPC
		want   string
	}{
		"server":  {server: withHealth(grpc.NewServer(), notServing)},
		"service": {server: withHealth(grpc.NewServer(), serving), config: health.GRPC{Service: "orders"}},
		"not serving": {
			server: withHealth(grpc.NewServer(), notServing),
			config: health.GRPC{Service: "orders"},
			want:   "gRPC health of orders: NOT_SERVING",
		},
		"unknown service": {
			server: withHealth(grpc.NewServer(), serving),
			config: health.GRPC{Service: "billing"},
			want:   "gRPC health of billing: the server knows no such service",
		},
		"no health": {
			server: grpc.NewServer(),
			want:   "gRPC health: the server does not implement grpc.health.v1.Health",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := serveGRPC(t, test.server)
			verdict := newChecker(t, health.Config{GRPC: &test.config}).Probe(t.Context(), target)
			wantCauses(t, verdict, map[string]string{"grpc": test.want})
		})
	}
}

func TestGRPCOverTLSNeedsNoCertificateForTheInstance(t *testing.T) {
	t.Parallel()
	// Only its certificate is used.
	https := httptest.NewTLSServer(http.NotFoundHandler())
	defer https.Close()
	server := grpc.NewServer(grpc.Creds(credentials.NewServerTLSFromCert(&https.TLS.Certificates[0])))
	target := serveGRPC(t, withHealth(server, grpc_health_v1.HealthCheckResponse_SERVING))
	verdict := newChecker(t, health.Config{GRPC: &health.GRPC{TLS: true}}).Probe(t.Context(), target)
	wantCauses(t, verdict, map[string]string{"grpc": ""})
}

func TestServerWithoutGRPCFails(t *testing.T) {
	t.Parallel()
	target := serve(t, (*httptest.Server).Start, func(http.ResponseWriter, *http.Request) {})
	verdict := newChecker(t, health.Config{GRPC: &health.GRPC{}}).Probe(t.Context(), target)
	if cause := fmt.Sprint(verdict["grpc"]); !strings.HasPrefix(cause, "gRPC health: Unavailable: ") {
		t.Errorf("cause %q of a server that speaks HTTP/1.1", cause)
	}
}

func TestSilentGRPCServerTimesOut(t *testing.T) {
	t.Parallel()
	target := instanceAt(listen(t).Addr()) // connections stay in the queue
	checker := newChecker(t, health.Config{GRPC: &health.GRPC{}, ProbeTimeout: 50 * time.Millisecond})
	wantCauses(t, checker.Probe(t.Context(), target), map[string]string{"grpc": "gRPC health: no answer within 50ms"})
}

func TestGRPCProbeEndsWithItsCaller(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	listener := listen(t)
	go func() {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		cancel()
		_, _ = conn.Read(make([]byte, 1))
	}()
	verdict := newChecker(t, health.Config{GRPC: &health.GRPC{}}).Await(ctx, instanceAt(listener.Addr()))
	wantCauses(t, verdict, map[string]string{"grpc": "gRPC health: no probe completed: context canceled"})
}
