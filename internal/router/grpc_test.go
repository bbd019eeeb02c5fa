// SPDX-License-Identifier: MPL-2.0

package router_test

import (
	"io"
	"net/http"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/protocol"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/router"
)

// grpcReplica serves grpc.health.v1 with this status.
func grpcReplica(t *testing.T, id string, s healthpb.HealthCheckResponse_ServingStatus) router.Backend {
	t.Helper()
	service := health.NewServer()
	service.SetServingStatus("", s)
	server := grpc.NewServer()
	healthpb.RegisterHealthServer(server, service)
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	t.Cleanup(func() {
		server.Stop()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return router.Backend{ID: id, Addr: l.Addr().String()}
}

func TestOnlyGRPCReachesTheReplicaOverHTTP2(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	e.blue.Set([]router.Backend{replica(t, "blue-1", func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Proto)
	})})
	for contentType, overHTTP2 := range map[string]string{
		"application/grpc":               "HTTP/2.0",
		"application/grpc+proto":         "HTTP/2.0",
		"application/grpc;charset=utf-8": "HTTP/2.0",
		"application/grpc-web":           "HTTP/1.1",
		"application/json":               "HTTP/1.1",
	} {
		for _, c := range []*http.Client{newH2CClient(t), newClient(t)} {
			req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, e.url, http.NoBody)
			req.Header.Set("Content-Type", contentType)
			res, err := c.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			got, _ := io.ReadAll(res.Body)
			_ = res.Body.Close()
			want := overHTTP2
			if res.ProtoMajor == 1 {
				want = "HTTP/1.1" // No gRPC client speaks HTTP/1.1.
			}
			if string(got) != want {
				t.Errorf("%s from a client with %s reached the replica over %s", contentType, res.Proto, got)
			}
		}
	}
}

func TestGRPCFollowsTheSwitch(t *testing.T) {
	t.Parallel()
	e := startRouter(t, protocol.HTTP, nil)
	e.blue.Set([]router.Backend{
		refusingReplica(t, "blue-1"),
		grpcReplica(t, "blue-2", healthpb.HealthCheckResponse_SERVING),
	})
	e.green.Set([]router.Backend{grpcReplica(t, "green-1", healthpb.HealthCheckResponse_NOT_SERVING)})
	conn, err := grpc.NewClient(e.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	client := healthpb.NewHealthClient(conn)

	check := func(want healthpb.HealthCheckResponse_ServingStatus) {
		t.Helper()
		got, err := client.Check(t.Context(), &healthpb.HealthCheckRequest{})
		if err != nil || got.GetStatus() != want {
			t.Errorf("check: %v, %v, want %v", got.GetStatus(), err, want)
		}
	}
	check(healthpb.HealthCheckResponse_SERVING)
	check(healthpb.HealthCheckResponse_SERVING)
	_, err = client.Check(t.Context(), &healthpb.HealthCheckRequest{Service: "unknown"})
	if status.Code(err) != codes.NotFound {
		t.Errorf("an error of the service arrives as %v", err)
	}

	watch, err := client.Watch(t.Context(), &healthpb.HealthCheckRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := watch.Recv(); err != nil || got.GetStatus() != healthpb.HealthCheckResponse_SERVING {
		t.Fatalf("watch: %v, %v", got.GetStatus(), err)
	}
	old := e.Switch(e.green)
	check(healthpb.HealthCheckResponse_NOT_SERVING)
	if n := old.CloseConnections(); n != 1 {
		t.Errorf("%d cut, want the watch", n)
	}
	if _, err := watch.Recv(); err == nil {
		t.Error("the watch goes on after the cut")
	}
	check(healthpb.HealthCheckResponse_NOT_SERVING)
}
