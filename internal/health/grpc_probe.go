// SPDX-License-Identifier: MPL-2.0

package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// errOneConnection keeps a gRPC client from dialing again: a probe is one attempt,
// and the Checker decides when to make the next.
var errOneConnection = errors.New("the probe has only one connection")

func (g *GRPC) check() (check, error) {
	if err := checkPort("grpc.port", g.Port); err != nil {
		return check{}, err
	}
	subject := "gRPC health"
	if g.Service != "" {
		subject += " of " + firstLine(g.Service)
	}
	probe := grpcProbe{service: g.Service, credentials: insecure.NewCredentials(), port: g.Port}
	if g.TLS {
		probe.credentials = credentials.NewTLS(unverifiedTLS(""))
	}
	return check{name: "grpc", subject: subject, probe: probe.run}, nil
}

// grpcProbe calls grpc.health.v1.Health/Check for one service.
type grpcProbe struct {
	service     string
	credentials credentials.TransportCredentials
	port        int
}

func (p grpcProbe) run(ctx context.Context, target bluegreen.Target) error {
	conn, err := dial(ctx, target, p.port)
	if err != nil {
		return err
	}
	defer closeWhenDone(ctx, conn)()

	client, err := grpc.NewClient("passthrough:///instance",
		grpc.WithContextDialer(dialOnce(conn)),
		grpc.WithTransportCredentials(p.credentials),
		grpc.WithAuthority("localhost"),
		grpc.WithNoProxy(),
		grpc.WithDisableRetry(),
		grpc.WithDisableServiceConfig(),
	)
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }()

	request := &grpc_health_v1.HealthCheckRequest{Service: p.service}
	response, err := grpc_health_v1.NewHealthClient(client).Check(ctx, request)
	switch {
	case err != nil:
		return grpcCause(err)
	case response.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING:
		return &rejection{response.GetStatus().String()}
	default:
		return nil
	}
}

// dialOnce returns a dialer that returns conn the first time and then fails.
func dialOnce(conn net.Conn) func(context.Context, string) (net.Conn, error) {
	var used atomic.Bool
	return func(context.Context, string) (net.Conn, error) {
		if used.Swap(true) {
			return nil, errOneConnection
		}
		return conn, nil
	}
}

// grpcCause explains the status codes that have a meaning in the health protocol.
func grpcCause(err error) error {
	switch status.Code(err) {
	case codes.NotFound:
		return &rejection{"the server knows no such service"}
	case codes.Unimplemented:
		return &rejection{"the server does not implement grpc.health.v1.Health"}
	default:
		return fmt.Errorf("%s: %s", status.Code(err), status.Convert(err).Message())
	}
}
