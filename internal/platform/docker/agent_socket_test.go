// SPDX-License-Identifier: MPL-2.0

//go:build unix

package docker

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"

	"github.com/bluegreen/terraform-provider-bluegreen/internal/agent/agenttest"
	agentclient "github.com/bluegreen/terraform-provider-bluegreen/internal/agent/client"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/bluegreen"
	"github.com/bluegreen/terraform-provider-bluegreen/internal/health"
)

// watching returns the options of a deployment whose agent has access to the engine.
func (h *harness) watching(release bluegreen.Release, check health.Config) Options {
	h.Helper()
	opts := h.options(h.name)
	opts.Upkeep = &Upkeep{
		Release: release, Health: check, UnhealthyThreshold: 2, WatchesEngine: true,
	}
	return opts
}

// socket returns the path of the engine's socket that the agent has, "" for none.
func (h *harness) socket() string {
	h.Helper()
	return mountedSocket(h.inspect(h.name).Container)
}

// awaitVerdict waits until the agent says of the first green replica that it is unhealthy
// for this cause, and of no other. With "" that is none.
func (s *service) awaitVerdict(cause string) {
	s.Helper()
	s.eventually(func() error {
		instances, err := s.platform.client.Instances(s.Context(), s.platform.name, bluegreen.Green)
		for _, instance := range instances {
			want := ""
			if instance.ID == "green-1" {
				want = cause
			}
			if !strings.Contains(instance.Unready, want) || (want == "") != (instance.Unready == "") {
				err = fmt.Errorf("%s has the cause %q, want %q", instance.ID, instance.Unready, want)
			}
		}
		return err
	})
}

// expectAnswersFrom fails the test unless clients are answered by this replica alone.
func (s *service) expectAnswersFrom(instance bluegreen.Instance) {
	s.Helper()
	for range 8 {
		status, body := get(s, s.endpoint()+"/env?HOSTNAME")
		if status != http.StatusOK || !strings.HasPrefix(containerOf(instance.Ref()), body) {
			s.Errorf("a client is answered %d by container %s, want %s", status, body, containerOf(instance.Ref()))
		}
	}
}

// Without the setting the agent's container has nothing of the engine, and commands and
// the HEALTHCHECK do not count between two applies.
func TestAgentHasNoAccessToTheEngineByDefault(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	release := h.releaseWithHealthcheck("1.0.0", "/bin/true")
	opts := h.watching(release, health.Config{HTTP: &health.HTTP{}})
	opts.Upkeep.WatchesEngine = false
	s := h.newServiceWith(t, opts)
	s.makeLive(release)
	c := h.inspect(h.name).Container
	if len(c.HostConfig.Mounts) != 1 || len(c.HostConfig.Binds) != 0 || strings.Contains(fmt.Sprint(c.Mounts), "sock") {
		t.Errorf("the agent's container has the mounts %+v", c.Mounts)
	}
	use, err := s.platform.client.EngineUse(t.Context())
	if err != nil || use.Problem == "" || len(use.Watching) != 0 {
		t.Errorf("the engine is used: %+v, %v", use, err)
	}
}

// The http probe passes and the HEALTHCHECK of the image does not.
func TestUnhealthyHealthcheckLeavesTheTraffic(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	release := h.releaseWithHealthcheck("1.0.0", "/bin/true")
	s := h.newServiceWith(t, h.watching(release, health.Config{HTTP: &health.HTTP{}}))
	s.makeLive(release)
	instances := s.instances(bluegreen.Green)
	s.must(s.platform.Exec(t.Context(), instances[0], []string{"/bin/spoil"}))
	s.awaitVerdict("HEALTHCHECK: unhealthy, exit status 1")
	s.must(agenttest.Ask(t.Context(), s.platform, instances[0], "/"))
	s.expectAnswersFrom(instances[1])
	status, err := s.platform.Observe(t.Context())
	if err != nil || status.Unready[bluegreen.Green] != 1 {
		t.Errorf("the status is %+v, %v", status, err)
	}
}

// A command of the health check goes on between two applies.
func TestExecCheckGoesOnAfterTheApply(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	release := h.release("1.0.0", agenttest.Healthy)
	command := []string{"/bin/true", "s3cret"}
	s := h.newServiceWith(t, h.watching(release, health.Config{Exec: &health.Exec{Command: command}}))
	s.makeLive(release)
	instances := s.instances(bluegreen.Green)
	s.must(s.platform.Exec(t.Context(), instances[0], []string{"/bin/spoil"}))
	s.awaitVerdict("exec: /bin/true: exit status 1")
	s.expectAnswersFrom(instances[1])
	if log := h.agentLog(); !strings.Contains(log, "replica is unhealthy") || strings.Contains(log, "s3cret") {
		t.Errorf("the agent's log:\n%s", log)
	}
}

// agentLog returns what the agent has logged to its volume.
func (h *harness) agentLog() string {
	h.Helper()
	dir := h.TempDir()
	from := client.CopyFromContainerOptions{SourcePath: path.Join(statePath, "agent.log")}
	copied, err := h.engine.CopyFromContainer(h.Context(), h.name, from)
	h.must(err)
	defer copied.Content.Close()
	h.must(unpackArchive(copied.Content, dir))
	content, err := os.ReadFile(filepath.Join(dir, "agent.log"))
	h.must(err)
	return string(content)
}

// The restarted container is the same one, and well again.
func TestUnhealthyContainerIsRestarted(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	release := h.release("1.0.0", agenttest.Healthy)
	opts := h.watching(release, health.Config{HTTP: &health.HTTP{}})
	opts.Upkeep.RestartAfter = time.Second
	s := h.newServiceWith(t, opts)
	s.makeLive(release)
	before := s.instances(bluegreen.Green)
	s.must(agenttest.Ask(t.Context(), s.platform, before[0], "/sicken"))
	s.awaitVerdict("http: GET /: 503")
	s.awaitVerdict("")
	after := s.instances(bluegreen.Green)
	if containerOf(after[0].Ref()) != containerOf(before[0].Ref()) || after[0].Incarnation == before[0].Incarnation {
		t.Errorf("it was %+v, and is %+v", before[0], after[0])
	}
	if after[1].Incarnation != before[1].Incarnation {
		t.Errorf("the healthy container was restarted: it was %+v, and is %+v", before[1], after[1])
	}
	for range 8 {
		s.expectVersion("1.0.0")
	}
}

// An agent that serves already gets the socket without a dropped request. It keeps the
// socket as long as one of its deployments asks for it.
func TestDeploymentsOfAHostShareTheSocket(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	first := h.newService(t, h.name+"-1")
	release := first.deployLive("1.0.0")
	load := startLoad(t, first.endpoint())
	opts := h.watching(release, health.Config{})
	second := h.newServiceWith(t, opts)
	second.makeLive(release)
	if h.socket() != first.engine.socketPath() {
		t.Errorf("the agent has the socket %q", h.socket())
	}
	without := h.options(h.name + "-1")
	without.Upkeep = &Upkeep{Release: release, UnhealthyThreshold: 2}
	again := &service{h, h.openWith(t, without), nil}
	again.Deployer = bluegreen.NewDeployer(without.Name, again.platform, newChecker(t), "tester@host (pid 2)")
	again.applyAgain(release)
	if h.socket() == "" {
		t.Error("a deployment that does not ask for the socket took it away")
	}

	opts.Upkeep.WatchesEngine = false
	last := &service{h, h.openWith(t, opts), nil}
	last.Deployer = bluegreen.NewDeployer(opts.Name, last.platform, newChecker(t), "tester@host (pid 3)")
	last.applyAgain(release)
	if h.socket() != "" {
		t.Errorf("nobody asks for the socket, and the agent has %q", h.socket())
	}
	load.stop("the agent got the socket and lost it")
}

// In one apply a deployment asks for the engine while another is being deployed. The agent
// is replaced once that one is done.
func TestAgentIsReplacedOnceTheOtherDeploymentsAreDone(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	release := h.release("1.0.0", agenttest.Healthy)
	host := NewHost(h.connection, h.name)
	busy := h.options(h.name + "-1")
	busy.Host = host
	unlock, err := h.openWith(t, busy).Lock(t.Context(), "tester@host (pid 1)")
	h.must(err)

	opts := h.watching(release, health.Config{})
	opts.Host = host
	waiting := h.newServiceWith(t, opts)
	impatient, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	err = errorOf(waiting.platform.Lock(impatient, "tester@host (pid 1)"))
	if !errors.Is(err, context.DeadlineExceeded) || !contains(err, "waiting for the other deployments") {
		t.Errorf("got %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		waiting.makeLive(release)
	}()
	unlock()
	<-done
	if h.socket() == "" {
		t.Error("the agent has no socket")
	}
}

// Nothing is changed, and the agent that runs goes on.
func TestSocketThatCannotBeMountedIsAnError(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	s := h.newService(t, h.name)
	release := s.deployLive("1.0.0")
	before := h.inspect(h.name).Container.ID
	load := startLoad(t, s.endpoint())
	p := h.openWith(t, h.watching(release, health.Config{}))
	p.manager.hostSocket = "/nonexistent/docker.sock"
	_, err := p.Lock(t.Context(), "tester@host (pid 2)")
	var socket *SocketError
	if !errors.As(err, &socket) || socket.Path != p.manager.hostSocket || !contains(err, "watch_engine = false") {
		t.Errorf("got %v", err)
	}
	load.stop("the socket could not be mounted")
	if after := h.inspect(h.name).Container.ID; after != before {
		t.Errorf("the agent is container %s, and was %s", after, before)
	}
	s.applyAgain(release)
}

// A file that is mounted in the place of the socket answers nothing. The apply says so.
func TestSocketThatDoesNotAnswerIsAnError(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	p := h.openWith(t, h.watching(h.release("1.0.0", agenttest.Healthy), health.Config{}))
	p.manager.hostSocket = "/etc/hostname"
	_, err := p.Lock(t.Context(), "tester@host (pid 1)")
	var socket *SocketError
	if !errors.As(err, &socket) || socket.Path != "/etc/hostname" {
		t.Errorf("got %v", err)
	}
	// The next apply replaces what was created for nothing, or removes it.
	unlock, err := h.open(t, h.name).Lock(t.Context(), "cleanup")
	h.must(err)
	unlock()
}

// An agent of an earlier version, from agent_image, ignores the socket that it is given.
func TestAgentImageThatKnowsNoEngineIsTooOld(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "bg-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	listener, err := net.Listen("unix", filepath.Join(dir, "agent.sock"))
	if err != nil {
		t.Fatal(err)
	}
	earlier := httptest.NewUnstartedServer(http.NotFoundHandler())
	earlier.Listener.Close()
	earlier.Listener = listener
	earlier.Start()
	t.Cleanup(earlier.Close)
	client, err := agentclient.New(dir)
	if err != nil {
		t.Fatal(err)
	}
	m := &agentManager{
		Agent:  Agent{Name: "bluegreen-agent", Image: "registry.example.com/agent:1"},
		client: client, upkeep: &Upkeep{WatchesEngine: true}, socket: "/run/docker.sock",
	}
	var socket *SocketError
	if err := m.requireEngine(t.Context()); !errors.As(err, &socket) ||
		!contains(err, "older than this provider, and so is agent_image, registry.example.com/agent:1") {
		t.Errorf("got %v", err)
	}
	if isUsed, err := m.isSocketUsedByOthers(t.Context()); isUsed || err != nil {
		t.Errorf("the socket is used: %t, %v", isUsed, err)
	}
}

func TestSocketPathIsThatOfTheEnginesHost(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"unix:///var/run/docker.sock":       "/var/run/docker.sock",
		"unix:///run/user/1000/docker.sock": "/run/user/1000/docker.sock",
		"tcp://web1.example.com:2376":       "/var/run/docker.sock",
		"ssh://deploy@web1.example.com":     "/var/run/docker.sock",
		"npipe:////./pipe/docker_engine":    "/var/run/docker.sock",
	} {
		if got := (&engine{address: address}).socketPath(); got != want {
			t.Errorf("%s: %s, want %s", address, got, want)
		}
	}
}
