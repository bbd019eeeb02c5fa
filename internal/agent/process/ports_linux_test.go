// SPDX-License-Identifier: MPL-2.0

package process

import (
	"errors"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"testing"
)

// Two agents give out all ports of a range together, and none twice, also once the sockets are
// released to the programs.
func TestAgentsShareNoPort(t *testing.T) {
	t.Parallel()
	from := PortRange{23000, 23099}
	agents, owners := [2]*ports{newPorts(), newPorts()}, map[int]bool{}
	for n := 0; ; n++ {
		agent := agents[n%2]
		port, err := agent.take(from)
		if err != nil {
			break
		}
		t.Cleanup(func() { agent.release(port.number) })
		if owners[port.number] || !from.contains(port.number) {
			t.Fatalf("port %d was given out twice, or is not in %s", port.number, from)
		}
		owners[port.number] = true
		port.socket.Close()
	}
	// Another program of this machine may have some.
	if len(owners) < minPorts/2 {
		t.Errorf("only %d of %d ports were given out", len(owners), minPorts)
	}
}

// An agent that takes over adopts replicas while the one before has still claimed their ports. Once
// that one has let go, the ports are claimed again, so that a third agent gets none of them.
func TestPortsAreClaimedAgainAfterATakeOver(t *testing.T) {
	t.Parallel()
	former, next := NewManager(slog.New(slog.DiscardHandler)), NewManager(slog.New(slog.DiscardHandler))
	port, err := former.ports.take(PortRange{23600, 23699})
	if err != nil {
		t.Fatal(err)
	}
	begin := next.AwaitPredecessor()
	next.ports.adopt(port.number)
	former.Hold()
	former.LetGo()
	begin()
	// The replica boots, and has not bound its port yet.
	port.socket.Close()
	if claim, err := claimPort(port.number); err == nil {
		claim.Close()
		t.Error("a third agent can claim the port")
	}
	next.ports.release(port.number)
	claim, err := claimPort(port.number)
	if err != nil {
		t.Fatalf("the port stays claimed once the replica has ended: %v", err)
	}
	claim.Close()
}

// outOfDescriptors makes this binary a program that has no descriptor left.
const outOfDescriptors = "BLUEGREEN_TEST_OUT_OF_DESCRIPTORS"

// An agent that cannot open a socket says so, and not that all ports are taken.
func TestPortErrorSaysWhatFailed(t *testing.T) {
	t.Parallel()
	if os.Getenv(outOfDescriptors) == "" {
		again := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v")
		again.Env = append(os.Environ(), outOfDescriptors+"=1")
		if output, err := again.CombinedOutput(); err != nil {
			t.Errorf("%v: %s", err, output)
		}
		return
	}
	all, err := newPorts(), error(nil)
	if err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 50, Max: 50}); err != nil {
		t.Fatal(err)
	}
	var held []*os.File
	for err == nil {
		var file *os.File
		file, err = os.Open(os.DevNull)
		held = append(held, file)
	}
	defer runtime.KeepAlive(held)
	if _, err := all.take(PortRange{23800, 23899}); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("got %v", err)
	}
}

// Until its program begins, nobody else can listen on the port of a replica.
func TestPortIsBoundUntilItIsReleased(t *testing.T) {
	t.Parallel()
	all := newPorts()
	port, err := all.take(PortRange{23200, 23399})
	if err != nil {
		t.Fatal(err)
	}
	defer all.release(port.number)
	for _, address := range []string{"127.0.0.1", "0.0.0.0"} {
		// It sets SO_REUSEADDR.
		if listener, err := net.Listen("tcp4", net.JoinHostPort(address, portText(port.number))); err == nil {
			listener.Close()
			t.Errorf("another one listens on %s", listener.Addr())
		}
	}
	port.socket.Close()
	listener, err := net.Listen("tcp4", loopback(port.number))
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

func portText(port int) string {
	_, text, _ := net.SplitHostPort(loopback(port))
	return text
}

// No replica gets a port by default that the system may give to an outgoing connection.
func TestDefaultPortsAreNotEphemeral(t *testing.T) {
	t.Parallel()
	all := newPorts()
	ephemeral := EphemeralPorts()
	for range 50 {
		port, err := all.take(PortRange{})
		if err != nil {
			t.Fatal(err)
		}
		defer port.socket.Close()
		defer all.release(port.number)
		if !DefaultPorts.contains(port.number) || ephemeral.contains(port.number) {
			t.Errorf("port %d was given out, and %s are ephemeral", port.number, ephemeral)
		}
	}
}
