// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
)

// dockerd is an engine of the test's own, beside the one that all tests use.
type dockerd struct {
	testing.TB
	dir, socket string
	// number is its own among those that tests have started.
	number  uint32
	process *exec.Cmd
}

var engines atomic.Uint32

// bridge is the engine's default network. Without one, or with address pools of
// its own, the engine would remove the other one's.
func (d *dockerd) bridge() string { return fmt.Sprintf("bgtest%d-%d", os.Getpid()%100000, d.number) }

// gateway is the bridge's address, one of those that are for tests (RFC 2544).
func (d *dockerd) gateway() string { return fmt.Sprintf("198.19.%d.1/24", d.number%256) }

// ip configures the machine's network.
func (d *dockerd) ip(args ...string) {
	d.Helper()
	if output, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		d.Fatalf("ip %v: %v: %s", args, err, output)
	}
}

// newDockerd starts an engine that does not keep containers running without it.
func newDockerd(t *testing.T) *dockerd {
	t.Helper()
	if _, err := exec.LookPath("dockerd"); err != nil || os.Geteuid() != 0 {
		skipOrFail(t, "an engine that may be restarted needs dockerd, and root to start it")
	}
	dir, err := os.MkdirTemp("", "bg-")
	if err != nil {
		t.Fatal(err)
	}
	d := &dockerd{TB: t, dir: dir, socket: filepath.Join(dir, "docker.sock"), number: engines.Add(1)}
	d.ip("link", "add", d.bridge(), "type", "bridge")
	t.Cleanup(func() {
		d.stop()
		// The host's network, which dockerd has mounted for the agent. An error says
		// that it never did.
		_ = syscall.Unmount(d.path("exec/netns/default"), syscall.MNT_DETACH)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
		d.ip("link", "delete", d.bridge())
	})
	d.ip("address", "add", d.gateway(), "dev", d.bridge())
	d.ip("link", "set", d.bridge(), "up")
	d.start()
	return d
}

func (d *dockerd) connection() Connection { return Connection{Host: "unix://" + d.socket} }

func (d *dockerd) path(name string) string { return filepath.Join(d.dir, name) }

// start returns when the engine answers. It leaves the machine's firewall and
// the other engine's networks alone.
func (d *dockerd) start() {
	d.Helper()
	log, err := os.OpenFile(d.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.Fatal(err)
	}
	defer log.Close()
	process := exec.Command("dockerd", "--host", "unix://"+d.socket, "--data-root", d.path("data"), "--exec-root", d.path("exec"),
		"--pidfile", d.path("pid"), "--bridge", d.bridge(),
		"--iptables=false", "--ip-masq=false", "--live-restore=false")
	process.Stdout, process.Stderr = log, log
	if err := process.Start(); err != nil {
		d.Fatal(err)
	}
	d.process = process
	engine, err := d.connection().open()
	if err != nil {
		d.Fatal(err)
	}
	defer engine.Close()
	agenttest.Eventually(d, func() error {
		_, err := engine.Ping(context.Background(), client.PingOptions{})
		return err
	})
}

// stop ends the engine, unless it does not run, and with it its containers.
func (d *dockerd) stop() {
	d.Helper()
	if d.process == nil {
		return
	}
	process := d.process
	d.process = nil
	if err := process.Process.Signal(syscall.SIGTERM); err != nil {
		d.Fatal(err)
	}
	if err := process.Wait(); err != nil {
		d.Errorf("dockerd: %v", err)
	}
}

func TestEverythingReturnsWhenTheEngineIsRestarted(t *testing.T) {
	t.Parallel()
	d := newDockerd(t)
	h := newHarnessAt(t, d.connection())
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	s.deployLive("2.0.0")
	s.must(s.Rollback(t.Context(), "so that blue is not simply the last"))
	before, endpoint := s.addresses(), s.endpoint()

	d.stop()
	if err := request(newConnections, endpoint); err == nil {
		t.Error("somebody answers although the engine is down")
	}
	d.start()
	s.eventually(func() error { return request(newConnections, endpoint) })
	// Another process, because this one's connections were to the former engine.
	again := &service{h, h.open(t, h.name), s.Deployer}
	again.eventually(func() error {
		if got := again.running(); got != [2]int{2, 2} {
			return fmt.Errorf("%v run", got)
		}
		return nil
	})
	again.expectVersion("1.0.0")
	if after := again.addresses(); !slices.Equal(before, after) {
		t.Errorf("the replicas were at %v and are at %v", before, after)
	}
	again.must(bluegreen.NewDeployer(h.name, again.platform, checker(t), "tester@host (pid 1)").DeployAndSwitch(t.Context(), s.release("2.0.0", agenttest.Healthy)))
	again.expectVersion("2.0.0")
}

// places are the containers of the deployment and where they are reached.
func (s *service) addresses() (list []string) {
	s.Helper()
	for _, env := range bluegreen.Environments() {
		for _, instance := range s.instances(env) {
			found, err := s.engine.ContainerInspect(context.Background(), containerOf(instance.Ref()), client.ContainerInspectOptions{})
			s.must(err)
			at := found.Container.NetworkSettings.Networks[s.platform.networkName()]
			list = append(list, fmt.Sprintf("%s %s %s", instance.ID, containerOf(instance.Ref())[:12], at.IPAddress))
		}
	}
	return list
}

func TestAgentThatIsKilledReturns(t *testing.T) {
	t.Parallel()
	d := newDockerd(t)
	h := newHarnessAt(t, d.connection())
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	endpoint := s.endpoint()
	found, err := h.engine.ContainerInspect(t.Context(), h.name, client.ContainerInspectOptions{})
	s.must(err)
	began := time.Now()
	s.must(syscall.Kill(found.Container.State.Pid, syscall.SIGKILL))
	s.eventually(func() error {
		if now, err := h.engine.ContainerInspect(t.Context(), h.name, client.ContainerInspectOptions{}); err != nil || now.Container.RestartCount == 0 {
			return fmt.Errorf("it has not been started again: %w", err)
		}
		return request(newConnections, endpoint)
	})
	t.Logf("traffic was back after %s", time.Since(began).Round(time.Millisecond))
	again := &service{h, h.open(t, h.name), s.Deployer}
	again.expectVersion("1.0.0")
}
