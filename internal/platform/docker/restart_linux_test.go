// SPDX-License-Identifier: MPL-2.0

package docker

import (
	"context"
	"errors"
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

// dockerd is an engine that only one test uses. The engine of all other tests
// runs at the same time.
type dockerd struct {
	testing.TB
	dir, socket string
	// number is different for each engine that the tests start.
	number  uint32
	process *exec.Cmd
}

var engines atomic.Uint32

// bridge returns the name of the engine's default network. Without one, or with address
// pools of its own, the engine would remove the default network of the other engine.
func (d *dockerd) bridge() string { return fmt.Sprintf("bgtest%d-%d", os.Getpid()%100000, d.number) }

// gateway returns the bridge's address. It is in the range for tests (RFC 2544).
func (d *dockerd) gateway() string { return fmt.Sprintf("198.19.%d.1/24", d.number%256) }

// ip runs the ip command, which configures the machine's network.
func (d *dockerd) ip(args ...string) {
	d.Helper()
	if output, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		d.Fatalf("ip %v: %v: %s", args, err, output)
	}
}

// newDockerd starts an engine whose containers end with it.
func newDockerd(t *testing.T) *dockerd {
	t.Helper()
	if _, err := exec.LookPath("dockerd"); err != nil || os.Geteuid() != 0 {
		skipOrFail(t, "an engine that can be restarted needs dockerd and root")
	}
	dir, err := os.MkdirTemp("", "bg-")
	if err != nil {
		t.Fatal(err)
	}
	d := &dockerd{TB: t, dir: dir, socket: filepath.Join(dir, "docker.sock"), number: engines.Add(1)}
	d.ip("link", "add", d.bridge(), "type", "bridge")
	t.Cleanup(func() {
		d.stop()
		// Dockerd has mounted the host's network for the agent. An error means that it
		// never did.
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

// start starts the engine and returns when it answers. The engine does not change the
// machine's firewall or the other engine's networks.
func (d *dockerd) start() {
	d.Helper()
	log, err := os.OpenFile(d.path("log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		d.Fatal(err)
	}
	defer log.Close()
	process := exec.Command("dockerd", "--host", "unix://"+d.socket,
		"--data-root", d.path("data"), "--exec-root", d.path("exec"),
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

// stop ends the engine and its containers. It does nothing if the engine does not run.
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

func TestDeploymentSurvivesARestartOfTheEngine(t *testing.T) {
	t.Parallel()
	d := newDockerd(t)
	h := newHarnessAt(t, d.connection())
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	s.deployLive("2.0.0")
	s.must(s.Rollback(t.Context(), "so that live is not the environment deployed last"))
	before, endpoint := s.addresses(), s.endpoint()

	d.stop()
	if err := request(newConnections, endpoint); err == nil {
		t.Error("a request was answered although the engine is down")
	}
	d.start()
	s.eventually(func() error { return request(newConnections, endpoint) })
	// A new platform stands for another process: the connections of this one have ended.
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
	deployer := bluegreen.NewDeployer(h.name, again.platform, newChecker(t), "tester@host (pid 1)")
	again.must(deployer.DeployAndSwitch(t.Context(), s.release("2.0.0", agenttest.Healthy)))
	again.expectVersion("2.0.0")
}

// addresses returns the IDs and addresses of the deployment's containers.
func (s *service) addresses() (list []string) {
	s.Helper()
	for _, env := range bluegreen.Environments() {
		for _, instance := range s.instances(env) {
			found := s.inspect(containerOf(instance.Ref()))
			at := found.Container.NetworkSettings.Networks[s.platform.networkName()]
			list = append(list, fmt.Sprintf("%s %s %s", instance.ID, containerOf(instance.Ref())[:12], at.IPAddress))
		}
	}
	return list
}

func TestKilledAgentIsRestarted(t *testing.T) {
	t.Parallel()
	d := newDockerd(t)
	h := newHarnessAt(t, d.connection())
	s := h.newService(t, h.name)
	s.deployLive("1.0.0")
	endpoint := s.endpoint()
	found := h.inspect(h.name)
	began := time.Now()
	s.must(syscall.Kill(found.Container.State.Pid, syscall.SIGKILL))
	s.eventually(func() error {
		if h.inspect(h.name).Container.RestartCount == 0 {
			return errors.New("the agent has not been restarted")
		}
		return request(newConnections, endpoint)
	})
	t.Logf("traffic was back after %s", time.Since(began).Round(time.Millisecond))
	again := &service{h, h.open(t, h.name), s.Deployer}
	again.expectVersion("1.0.0")
}
