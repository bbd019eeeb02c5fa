// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"syscall"
	"testing"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// everyKind is one check of each kind that dials, on port (0: the served one).
func everyKind(port int) health.Config {
	return health.Config{
		HTTP: &health.HTTP{Port: port},
		TCP:  &health.TCP{Port: port},
		GRPC: &health.GRPC{Port: port},
	}
}

func TestRefusedConnectionIsToldWithTheAddress(t *testing.T) {
	t.Parallel()
	verdict := newChecker(t, everyKind(0)).Probe(t.Context(), instance{dial: refuseConnection})
	wantCauses(t, verdict, map[string]string{
		"http": "GET /: connection refused at 127.0.0.1:41234",
		"tcp":  "connect: connection refused at 127.0.0.1:41234",
		"grpc": "gRPC health: connection refused at 127.0.0.1:41234",
	})
	if !errors.Is(verdict["tcp"], syscall.ECONNREFUSED) {
		t.Errorf("%v does not unwrap to what was observed", verdict["tcp"])
	}
}

func TestPlatformErrorIsNotShortened(t *testing.T) {
	t.Parallel()
	target := instance{dial: func(context.Context) (net.Conn, error) {
		addr := &net.UnixAddr{Name: "/run/agent.sock"}
		return nil, &net.OpError{Op: "dial", Net: "unix", Addr: addr, Err: syscall.ENOENT}
	}}
	wantCauses(t, newChecker(t, health.Config{TCP: &health.TCP{}}).Probe(t.Context(), target), map[string]string{
		"tcp": "connect: dial unix /run/agent.sock: no such file or directory",
	})
}

func TestTCPServicePasses(t *testing.T) {
	t.Parallel()
	target := instanceAt(listen(t).Addr())
	verdict := newChecker(t, health.Config{TCP: &health.TCP{}}).Probe(t.Context(), target)
	wantCauses(t, verdict, map[string]string{"tcp": ""})
}

func TestConfiguredPortIsDialed(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var ports []int
	target := instanceWithPorts{dialPort: func(ctx context.Context, port int) (net.Conn, error) {
		mu.Lock()
		defer mu.Unlock()
		ports = append(ports, port)
		return refuseConnection(ctx)
	}}
	newChecker(t, everyKind(9090)).Probe(t.Context(), target)
	if want := []int{9090, 9090, 9090}; !slices.Equal(ports, want) {
		t.Errorf("dialed %v, want %v", ports, want)
	}
}

func TestPlatformWithoutOtherPortsIsReported(t *testing.T) {
	t.Parallel()
	const cause = "port 9090 cannot be reached: this platform connects only to the port that the instance serves"
	wantCauses(t, newChecker(t, everyKind(9090)).Probe(t.Context(), instance{}), map[string]string{
		"http": "GET /: " + cause,
		"tcp":  "connect: " + cause,
		"grpc": "gRPC health: " + cause,
	})
}

func TestCommandPassesWithExitStatusZero(t *testing.T) {
	t.Parallel()
	command := []string{"/bin/check", "--token", secret}
	checker := newChecker(t, health.Config{Exec: &health.Exec{Command: command}})
	for name, test := range map[string]struct {
		exit error
		want string
	}{
		"0": {},
		"1": {exit: errors.New("exit status 1: not\x07 ready\nmore"), want: "/bin/check: exit status 1: not ready"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			target := instance{exec: func(_ context.Context, got []string) error {
				if !slices.Equal(got, command) {
					t.Errorf("ran %q, want %q", got, command)
				}
				return test.exit
			}}
			wantCauses(t, checker.Probe(t.Context(), target), map[string]string{"exec": test.want})
		})
	}
}
