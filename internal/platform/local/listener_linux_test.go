// SPDX-License-Identifier: MPL-2.0

package local_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/platform/local"
)

// Another user takes the port of a new release before that listens there, and answers like it.
// The release is refused, the thief is named, and it hears nothing.
func TestReleaseIsNotHealthyBecauseOfAThief(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	s.Config.HealthCheckTimeout, s.Config.HealthCheckRetries = 10*time.Second, 0
	release := agenttest.Release(t, "2.0.0", agenttest.Healthy)
	gate := agenttest.HoldUp(t, release)
	deployed := make(chan error, 1)
	go func() { deployed <- s.DeployAndSwitch(t.Context(), release) }()
	thief := agenttest.Steal(t, gate.AwaitReplica())
	gate.Open()
	err := <-deployed
	if want := fmt.Sprintf("process %d of user ", thief.PID); err == nil || !strings.Contains(err.Error(), want) ||
		!strings.Contains(err.Error(), "listens on "+thief.Address+", which is not one of blue-1's") {
		t.Errorf("the error is %v, want %q and %s", err, want, thief.Address)
	}
	s.expectVersion("1.0.0")
	if heard := thief.End(); len(heard) > 0 {
		t.Errorf("the thief has heard %q", heard)
	}
}

// Live crashes, and another user takes its next port before it listens there. No request and no
// probe of the agent goes to the thief. Once it has gone, the replica serves again.
func TestTrafficGoesToNoThief(t *testing.T) {
	t.Parallel()
	release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
	gate := agenttest.HoldUp(t, release)
	gate.Open()
	s := deployReleaseWithUpkeep(t, release, 1, 0)
	gate.Close()
	s.crash(s.instances(bluegreen.Green)[0])
	thief := agenttest.Steal(t, gate.AwaitReplica())
	for range 50 {
		status, body := get(t, s.endpoint())
		if status != http.StatusServiceUnavailable && status != http.StatusBadGateway {
			t.Fatalf("a client is answered %d %q", status, body)
		}
	}
	// The agent has probed the replica, and finds it unhealthy.
	agenttest.Eventually(t, func() error {
		unready := s.instances(bluegreen.Green)[0].Unready
		if !strings.Contains(unready, "which is not one of green-1's") {
			return fmt.Errorf("the replica is not ready because of %q", unready)
		}
		return nil
	})
	if heard := thief.End(); len(heard) > 0 {
		t.Errorf("the thief has heard %q", heard)
	}
	gate.Open()
	agenttest.AwaitNoFailure(t, s.endpoint())
}

// While no agent runs, a replica closes its socket, and another user takes the port. The next agent
// adopts the replica, and sends nothing to the thief.
func TestThiefHearsNothingFromTheNextAgent(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	endpoint := s.endpoint()
	_, text := get(t, endpoint+"/env?PORT")
	port, err := strconv.Atoi(text)
	s.must(err)
	agenttest.Kill(t, s.dir)
	get(t, fmt.Sprintf("http://127.0.0.1:%d/deafen", port))
	thief := agenttest.Steal(t, port)
	s.ensureAgent()
	for range 50 {
		if status, body := get(t, endpoint); status == http.StatusOK {
			t.Fatalf("a client is answered %q", body)
		}
	}
	if heard := thief.End(); len(heard) > 0 {
		t.Errorf("the thief has heard %q", heard)
	}
}

// Live dies, and so does the agent that has taken over, before it has said so. Another user takes
// the port of live. No request of a client that has kept its connection to the former agent goes to
// the thief.
func TestThiefHearsNothingFromAFormerAgent(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{DrainTimeout: longTimeout})
	s.deployLive("1.0.0", 1)
	_, text := get(t, s.endpoint()+"/env?PORT")
	port, err := strconv.Atoi(text)
	s.must(err)
	pid := askForPIDs(t, s.endpoint(), 1)[0]
	var kept []*keptConnection
	for range 5 {
		kept = append(kept, s.connect())
	}
	agenttest.TakeOver(t, s.dir)
	if answer, err := kept[0].ask(); err != nil || answer != "1.0.0" {
		t.Errorf("a client of the former agent is answered %q, %v", answer, err)
	}
	agenttest.Kill(t, s.dir)
	s.must(syscall.Kill(pid, syscall.SIGKILL))
	agenttest.AwaitExit(t, pid)
	thief := agenttest.Steal(t, port)
	for _, client := range kept[1:] {
		if answer, err := client.ask(); err != nil || answer == "stolen" {
			t.Errorf("a client of the former agent is answered %q, %v", answer, err)
		}
	}
	if heard := thief.End(); len(heard) > 0 {
		t.Errorf("the thief has heard %q", heard)
	}
}

// A program that does not follow PORT is told where it listens instead.
func TestReleaseThatListensElsewhereIsToldWhere(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.Config.HealthCheckTimeout, s.Config.HealthCheckRetries = 10*time.Second, 0
	release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
	agenttest.ListenElsewhere(release)
	_, err := s.Create(t.Context(), bluegreen.Desired{Release: release, Promote: true, MinHealthyPercent: 100})
	if err == nil || !strings.Contains(err.Error(), "nothing of green-1 listens on 127.0.0.1:2") ||
		!strings.Contains(err.Error(), "; it listens on 127.0.0.1:") {
		t.Errorf("the error is %v", err)
	}
}

// What listens may be a child of the replica's first process, or several.
func TestReplicaMayListenInOtherProcesses(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(*bluegreen.Release){
		"a child of a shell": func(r *bluegreen.Release) {
			r.Command = append([]string{"/bin/sh", "-c", `"$0"; exit $?`}, r.Command...)
		},
		"a daemon": func(r *bluegreen.Release) {
			r.Command = append([]string{"/bin/sh", "-c", `(setsid "$0" &); sleep 600; :`}, r.Command...)
		},
		"workers that share the port": func(r *bluegreen.Release) { agenttest.ListenInWorkers(*r) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, local.Frontend{})
			release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
			prepare(&release)
			s.makeLive(release)
			agenttest.Kill(t, s.dir)
			s.ensureAgent()
			s.expectVersion("1.0.0")
		})
	}
}

// A program that takes its socket from the agent can begin late: nobody else can listen on its
// port, before and after a crash.
func TestSocketActivatedReplicasAreServed(t *testing.T) {
	t.Parallel()
	release := agenttest.Release(t, "1.0.0", agenttest.Healthy)
	agenttest.UseSocketActivation(&release)
	gate := agenttest.HoldUp(t, release)
	s := newService(t, local.Frontend{})
	made := make(chan error, 1)
	go func() {
		_, err := s.Create(t.Context(), bluegreen.Desired{Release: release, Promote: true, MinHealthyPercent: 100})
		made <- err
	}()
	expectTaken(t, gate.AwaitReplica())
	gate.Open()
	s.must(<-made)
	s.expectVersion("1.0.0")

	gate.Close()
	s.crash(s.instances(bluegreen.Green)[0])
	expectTaken(t, gate.AwaitReplica())
	gate.Open()
	agenttest.AwaitNoFailure(t, s.endpoint())
}

func expectTaken(t *testing.T, port int) {
	t.Helper()
	if listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port)); err == nil {
		listener.Close()
		t.Errorf("another one can listen on port %d", port)
	}
}

// A program that knows nothing of sockets that are passed to it is refused if it is given one, also
// if it was seen with it before it closed it: the agent keeps the socket open.
func TestProgramThatIgnoresItsSocketIsRefused(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	s.Config.HealthCheckTimeout, s.Config.HealthCheckRetries = 10*time.Second, 0
	release := agenttest.Release(t, "2.0.0", agenttest.Healthy)
	agenttest.UseSocketActivation(&release)
	// It has the socket for a while, closes it, and waits at a gate that stays closed.
	release.Command = append([]string{"/bin/sh", "-c", `sleep 0.3; exec "$0" 3<&-`}, release.Command...)
	gate := agenttest.HoldUp(t, release)
	s.must(errOf(s.Deploy(t.Context(), release)))
	gate.AwaitReplica()
	_, err := s.HealthCheck(t.Context())
	if err == nil || !strings.Contains(err.Error(), "which is not one of blue-1's") {
		t.Errorf("the error is %v", err)
	}
}

// The ports of replicas are from the range of the provider.
func TestReplicasGetPortsFromTheConfiguredRange(t *testing.T) {
	t.Parallel()
	s := open(t, local.Options{StateDir: agenttest.StateDir(t), Name: "web", Ports: "23400-23599"})
	t.Cleanup(func() { s.must(s.Destroy(context.WithoutCancel(t.Context()))) })
	s.deployLive("1.0.0", 3)
	agenttest.Kill(t, s.dir)
	s.ensureAgent()
	s.crash(s.instances(bluegreen.Green)[0])
	agenttest.AwaitNoFailure(t, s.endpoint())
	for range 20 {
		_, port := get(t, s.endpoint()+"/env?PORT")
		if port < "23400" || port > "23599" {
			t.Fatalf("a replica has port %s", port)
		}
	}
}

// Live closes its socket, and another user takes its port at once. No request goes to the thief,
// not even before the agent has seen that.
func TestThiefOfAClosedSocketHearsNothing(t *testing.T) {
	t.Parallel()
	s := newService(t, local.Frontend{})
	s.deployLive("1.0.0", 1)
	_, text := get(t, s.endpoint()+"/env?PORT")
	port, err := strconv.Atoi(text)
	s.must(err)
	s.must(agenttest.Ask(t.Context(), s.platform, s.instances(bluegreen.Green)[0], "/deafen"))
	thief := agenttest.Steal(t, port)
	var clients sync.WaitGroup
	for range 20 {
		clients.Go(func() {
			for range 20 {
				if _, body := get(t, s.endpoint()); body == "stolen" {
					t.Error("a client is answered by the thief")
				}
			}
		})
	}
	clients.Wait()
	if heard := thief.End(); len(heard) > 0 {
		t.Errorf("the thief has heard %d requests", len(heard))
	}
}
