// SPDX-License-Identifier: MPL-2.0

package health_test

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// instance is a bluegreen.Target made of functions.
type instance struct {
	dial   func(ctx context.Context) (net.Conn, error)
	exec   func(ctx context.Context, command []string) error
	exited func(ctx context.Context) error
}

var _ bluegreen.Target = instance{}

func (i instance) ID() string { return "green-1" }

func (i instance) Dial(ctx context.Context) (net.Conn, error) { return i.dial(ctx) }

func (i instance) Exec(ctx context.Context, command []string) error { return i.exec(ctx, command) }

func (i instance) Exited(ctx context.Context) error {
	if i.exited == nil {
		return nil
	}
	return i.exited(ctx)
}

// instanceWithPorts is an instance with a health.PortDialer.
type instanceWithPorts struct {
	instance
	dialPort func(ctx context.Context, port int) (net.Conn, error)
}

var _ health.PortDialer = instanceWithPorts{}

func (i instanceWithPorts) DialPort(ctx context.Context, port int) (net.Conn, error) {
	return i.dialPort(ctx, port)
}

// listening returns an instance that serves at addr.
func instanceAt(addr net.Addr) instance {
	return instance{dial: func(ctx context.Context) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, addr.Network(), addr.String())
	}}
}

// refuseConnection fails as a dialer does while nothing listens.
func refuseConnection(context.Context) (net.Conn, error) {
	return nil, &net.OpError{
		Op:   "dial",
		Net:  "tcp",
		Addr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 41234},
		Err:  os.NewSyscallError("connect", syscall.ECONNREFUSED),
	}
}

// listen opens a loopback port for the length of the test.
func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
	return listener
}

func newChecker(t testing.TB, config health.Config) *health.Checker {
	t.Helper()
	checker, err := health.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return checker
}

// wantCauses compares a verdict with the cause of every check, "" for a pass.
func wantCauses(t testing.TB, verdict bluegreen.Verdict, want map[string]string) {
	t.Helper()
	healthy := true
	for name, text := range want {
		healthy = healthy && text == ""
		cause, ok := verdict[name]
		got := ""
		if cause != nil {
			got = cause.Error()
		}
		if !ok || got != text {
			t.Errorf("%s: cause %q (known: %t), want %q", name, got, ok, text)
		}
	}
	if len(verdict) != len(want) {
		t.Errorf("the verdict has %d checks, want %d: %v", len(verdict), len(want), verdict)
	}
	if verdict.IsHealthy() != healthy {
		t.Errorf("healthy: %t, want %t", verdict.IsHealthy(), healthy)
	}
}
